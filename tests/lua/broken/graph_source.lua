local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local x = nn.Input { 2 }
local y = nn.Dense { units = 2 }(x)
local other = nn.Input { 2 }
nn.Model { inputs = other, outputs = y }
