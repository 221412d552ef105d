local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.experiment { name = "x", seed = -1 }
