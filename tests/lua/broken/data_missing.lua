local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.data.mnist { folder = "nowhere" }
