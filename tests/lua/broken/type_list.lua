local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
nn.Conv2D { filters = 4, kernel_size = { 3, "5" } }
