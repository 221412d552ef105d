local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
nn.Dense { units = 2 }(nn.Dense { units = 3 })
