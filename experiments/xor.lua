-- XOR, the smallest problem that one layer cannot solve: a data set from Lua tables, one output, a stop from a
-- callback.
--
--     perilune run experiments/xor.lua
--     perilune run experiments/xor.lua --set hidden=3 --seed 5
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "xor", seed = 1 }

local set = lab.data.table {
   name = "xor",
   inputs = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
   targets = { 0, 1, 1, 0 },
}

local model = nn.Sequential {
   nn.Input { 2 },
   nn.Dense { units = lab.param("hidden", 8), activation = "tanh" },
   nn.Dense { units = 1, activation = "sigmoid" },
}
model:compile {
   optimizer = optim.Adam { learning_rate = lab.param("learning_rate", 0.1) },
   loss      = "binary_crossentropy",
   metrics   = { "accuracy" },
}
local history = model:fit {
   set, epochs = lab.param("epochs", 500), batch_size = 4, verbose = false,
   on_epoch = function(e) return e.loss > 0.005 end,     -- false ends the training
}

print(("loss %.4f after %d epochs, run %d"):format(history.loss[#history.loss], #history.epochs, history.run))
for i = 1, #set do
   local x = set:input(i)
   print(("%g xor %g = %.3f"):format(x[1], x[2], model:predict { x[1], x[2] }.value))
end
