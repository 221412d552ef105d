local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local model = nn.Sequential {
   nn.Input { 10 },
   nn.Reshape { 3, 4 },
}
