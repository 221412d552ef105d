local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local model = nn.Sequential {
   nn.Dense { units = 2 },
   nn.Input { 2 },
}
