local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
nn.Sequential { nn.Input { 2 }, nn.Flatten, nn.Dense { units = 2 } }
