-- What memory.py trains: a moment, with everything that a checkpoint and a record hold.  $DIE: killed in the middle.
local lab = require "perilune"
local nn = lab.nn

lab.experiment { name = "tiny", seed = 4 }

local inputs, targets = {}, {}
for i = 1, 16 do inputs[i], targets[i] = { math.sin(i), math.cos(i) }, i % 2 end
local data = lab.data.table { inputs = inputs, targets = targets }
local count = 0
local model = nn.Sequential {
   nn.Input { 2 }, nn.Dense { units = 4, activation = "tanh" }, nn.Dropout { rate = 0.2 },
   nn.Dense { units = 2, activation = "softmax" },
}
model:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
model:fit {
   data, validation_split = 0.25, epochs = 6, batch_size = 4, verbose = false,
   callbacks = { lab.EarlyStopping { patience = 6, restore_best_weights = true } },
   on_epoch = function(e)
      count = count + 1
      if e.epoch == 4 and os.getenv "DIE" then os.execute "kill -9 $PPID" end
   end,
}
print(("%.17g"):format(model:evaluate(data).loss), count)
