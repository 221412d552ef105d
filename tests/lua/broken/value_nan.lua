local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
optim.Adam { learning_rate = 0 / 0 }
