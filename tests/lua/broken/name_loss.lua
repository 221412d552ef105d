local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 2 } }
model:compile { optimizer = "sgd", loss = "sparse_categorical_crosentropy" }
