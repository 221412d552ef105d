local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
nn.Sequential { nn.Input { 2 }, nil, nn.Dense { units = 2 } }
