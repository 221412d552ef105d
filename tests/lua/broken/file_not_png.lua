local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local model = nn.Sequential { nn.Input { 28, 28, 1 }, nn.Flatten {}, nn.Dense { units = 10, activation = "softmax" } }
model:predict "file_not_png.lua"
