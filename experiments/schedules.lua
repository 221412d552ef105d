-- Learning rates that change: the same net trained five times, each time with another schedule, then compared.
--
--     perilune run experiments/schedules.lua
--     perilune run experiments/schedules.lua --set data=mnist --set epochs=10
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "schedules", seed = 3 }

local train = lab.data[lab.param("data", "digits")]()
train = train:take(lab.param("samples", 6000))
local rate = lab.param("learning_rate", 0.2)
local epochs = lab.param("epochs", 6)

local schedules = {
   { "constant", rate },
   { "step", lab.schedules.step { learning_rate = rate, drop = 0.3, every = 2 } },
   { "cosine", lab.schedules.cosine { learning_rate = rate } },
   { "one_cycle", lab.schedules.one_cycle { learning_rate = rate } },
   { "own", function(epoch) return rate / math.sqrt(epoch) end },     -- any function of the epoch is one
}

local results = {}
for i, entry in ipairs(schedules) do
   local name, schedule = table.unpack(entry)
   local model = nn.Sequential {
      nn.Input { 28, 28, 1 }, nn.Flatten {},
      nn.Dense { units = 64, activation = "relu" },
      nn.Dense { units = 10, activation = "softmax" },
   }
   model:compile {
      optimizer = optim.SGD { learning_rate = schedule },
      loss = "sparse_categorical_crossentropy", metrics = { "accuracy" },
   }
   lab.log("schedule " .. name)
   local history = model:fit { train, validation_split = 1 / 6, epochs = epochs, batch_size = 32 }
   local last = history.epochs[#history.epochs]
   results[i] = { name = name, run = history.run, loss = last.val_loss, accuracy = last.val_accuracy }
end

print "schedule     run  val_loss  val_accuracy"
for _, r in ipairs(results) do
   print(("%-11s %4d  %8.4f  %12.4f"):format(r.name, r.run, r.loss, r.accuracy))
end
