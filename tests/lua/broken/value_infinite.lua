local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
optim.SGD { learning_rate = math.huge }
