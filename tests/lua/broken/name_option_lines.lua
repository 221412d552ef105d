local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
nn.Conv2D {
   filters = 10,
   kernel_sise = 3,
}
