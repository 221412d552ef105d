local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local model = nn.Sequential { nn.Input { 2 } }
model:compile { optimizer = 3, loss = "mse" }
