local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.param("rate", { 1 })
