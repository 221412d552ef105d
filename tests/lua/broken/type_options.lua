local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
nn.Dense(10)
