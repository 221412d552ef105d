local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local o = optim.Adan { learning_rate = 0.1 }
