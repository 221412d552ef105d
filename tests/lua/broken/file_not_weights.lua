local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local model = nn.load "file_not_weights.lua"
