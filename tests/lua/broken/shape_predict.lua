local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local model = nn.Sequential { nn.Input { 4 }, nn.Dense { units = 2 } }
model:predict { 1, 2, 3 }
