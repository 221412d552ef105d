local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local set = lab.data.table { inputs = { { 1, 2 }, { 3, 4 } }, targets = { { 1, 2 }, { 3, 4 } } }
local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 2 } }
model:compile { optimizer = optim.SGD { learning_rate = 1e30 }, loss = "mse" }
model:fit { set, epochs = 9, batch_size = 1, verbose = false }
