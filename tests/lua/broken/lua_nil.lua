local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local t
print(t.x)
