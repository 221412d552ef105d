local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local set = lab.data.digits { count = 20 }
nn.Sequential { nn.Input { 28, 28, 1 }, nn.Flatten {}, nn.Dense { units = 10 } }:evaluate(set)
