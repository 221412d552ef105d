local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
error { code = 7 }
