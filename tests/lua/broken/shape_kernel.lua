local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local model = nn.Sequential {
   nn.Input { 8, 8, 1 },
   nn.Conv2D { filters = 2, kernel_size = 9 },
}
