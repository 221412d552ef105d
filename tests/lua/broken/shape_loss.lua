local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local set = lab.data.digits { count = 20 }
local model = nn.Sequential { nn.Input { 28, 28, 1 }, nn.Conv2D { filters = 2, kernel_size = 3 } }
model:compile { optimizer = "sgd", loss = "sparse_categorical_crossentropy" }
model:fit { set, verbose = false }
