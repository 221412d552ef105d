-- What the tests of this folder train: two fits with dropout, early stopping that restores the best weights, a
-- callback and a function that remember, a schedule, a file that grows, and a required module.  A few seconds, and
-- every bit repeats.
local lab = require "perilune"
local shape = require "shape"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "fault", seed = 5 }

local samples, epochs, patience = lab.param("samples", 600), lab.param("epochs", 60), lab.param("patience", 3)
local data = lab.data.digits { count = samples, seed = 3 }
local noise = { sum = 0, drawn = 0 }
local best

-- A callback of the script's own: it draws random numbers, and remembers them.
local wanderer = {
   name = "wanderer", state = { place = 0.0, path = {} },
   on_epoch_end = function(self, e)
      self.state.place = self.state.place + math.random() - 0.5
      self.state.path[#self.state.path + 1] = self.state.place
      e.place = self.state.place
   end,
}

for fit = 1, 2 do
   local model = shape.net(nn, fit)
   model:compile {
      optimizer = optim.Adam { learning_rate = fit == 1 and 1e-3 or lab.schedules.cosine { learning_rate = 2e-3 } },
      loss = "sparse_categorical_crossentropy", metrics = { "accuracy" },
   }
   local history = model:fit {
      data, validation_split = 0.25, epochs = epochs, batch_size = 16,
      callbacks = {
         lab.EarlyStopping {
            monitor = "val_loss", patience = fit == 1 and patience or epochs, restore_best_weights = true,
         },
         lab.CSVLogger(("fit%d.csv"):format(fit)), wanderer,
      },
      on_epoch = function(e)
         best = math.min(best or e.val_loss, e.val_loss)
         noise.sum, noise.drawn = noise.sum + math.random(), noise.drawn + 1
      end,
   }
   local result = model:evaluate(data:take(100))
   print(("fit %d: %d epochs, %s, best %.17g, last place %.17g, loss %.17g, weights %s"):format(fit, #history.epochs,
      history.stopped and "stopped" or "to the end", best, wanderer.state.place, result.loss, model:digest()))
end
print(("noise %.17g in %d draws, then %.17g"):format(noise.sum, noise.drawn, math.random()))
print("arguments", ...)
