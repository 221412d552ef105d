local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.experimnt { name = "x" }
