local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local function deeper() return 1 + deeper() end
deeper()
