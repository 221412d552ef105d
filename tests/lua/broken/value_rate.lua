local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
nn.Dropout { rate = 1.5 }
