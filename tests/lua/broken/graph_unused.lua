local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local a, b = nn.Input { 2 }, nn.Input { 2 }
nn.Model { inputs = { a, b }, outputs = nn.Dense { units = 2 }(a) }
