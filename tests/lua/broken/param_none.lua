local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
print(lab.param "rate")
