local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local set = lab.data.digits { count = 20 }
local model = nn.Sequential { nn.Input { 27, 28, 1 }, nn.Flatten {}, nn.Dense { units = 10 } }
model:compile { optimizer = "sgd", loss = "mse" }
model:fit { set, verbose = false }
