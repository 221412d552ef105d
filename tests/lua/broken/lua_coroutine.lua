local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local step = coroutine.wrap(function()
   nn.Dense { units = 0 }
end)
step()
