local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
nn.Conv2d { filters = 10, kernel_size = 3 }
