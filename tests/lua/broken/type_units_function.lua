local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
nn.Dense { units = function() return 10 end }
