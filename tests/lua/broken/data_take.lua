local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.data.digits { count = 20 }:take(21)
