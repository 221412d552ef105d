-- Training: the loop, its options, history, callbacks, schedules.
local lab = require "perilune"
local tap = dofile((arg[0]:match "^(.*/)" or "") .. "tap.lua")
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "fit", seed = 11 }
local digits = lab.data.digits { count = 600, seed = 1 }

local function dense(rate, metrics)
   local model = nn.Sequential {
      nn.Input { 28, 28, 1 }, nn.Flatten {}, nn.Dense { units = 16, activation = "relu" },
      nn.Dense { units = 10, activation = "softmax" },
   }
   return model:compile {
      optimizer = optim.Adam { learning_rate = rate or 0.01 },
      loss = "sparse_categorical_crossentropy",
      metrics = metrics or { "accuracy" },
   }
end

tap.test("training learns, and the history tells", function()
   local h = dense():fit { digits, epochs = 4, validation_split = 0.25, verbose = false }
   tap.equal(#h.epochs, 4)
   tap.check(h.loss[4] < h.loss[1] / 2, "the loss falls")
   tap.check(h.val_accuracy[4] > 0.5)
   tap.equal(h.epochs[2].loss, h.loss[2])
   tap.equal(h.epochs[3].epoch, 3)
   tap.check(h.run > 0 and h.best_epoch >= 1)
end)

tap.test("the same seed gives the same bits, another other ones", function()
   local a, b, c = dense(), dense(), dense()
   a:fit { digits, epochs = 2, verbose = false }
   b:fit { digits, epochs = 2, verbose = false }
   c:fit { digits, epochs = 2, seed = 12, verbose = false }
   tap.equal(a:digest(), b:digest())
   tap.check(a:digest() ~= c:digest())
end)

tap.test("validation_split is the last fraction, before shuffling", function()
   local a, b = dense(), dense()
   local h = a:fit { digits, epochs = 1, validation_split = 0.25, verbose = false }
   local g = b:fit { digits:take(450), epochs = 1, validation_data = digits:slice(451), verbose = false }
   tap.equal(a:digest(), b:digest())
   tap.equal(h.val_loss[1], g.val_loss[1])
   tap.near(b:evaluate(digits:slice(451)).loss, g.val_loss[1], 1e-6)
end)

tap.test("on_epoch ends the training by returning false", function()
   local seen = {}
   local h = dense():fit { digits, epochs = 9, verbose = false, on_epoch = function(e)
      seen[#seen + 1] = e.accuracy
      return e.epoch < 3
   end }
   tap.equal(#h.epochs, 3)
   tap.equal(#seen, 3)
end)

tap.test("on_batch sees every batch, the short last one too", function()
   local batches, last = 0, nil
   dense():fit { digits, epochs = 2, batch_size = 128, verbose = false, on_batch = function(b)
      batches, last = batches + 1, b.batch
      tap.equal(b.batches, 5)
   end }
   tap.equal(batches, 10)
   tap.equal(last, 5)
end)

tap.test("callbacks are called in their order with a handle of the fit", function()
   local calls = {}
   local mine = { state = {} }
   function mine:on_train_begin(fit)
      calls[#calls + 1] = "begin " .. fit.epochs
      self.state.n = 0
   end
   function mine:on_epoch_begin(epoch) calls[#calls + 1] = "epoch " .. epoch end
   function mine:on_epoch_end(e, fit)
      self.state.n = self.state.n + 1
      calls[#calls + 1] = ("end %d %s"):format(e.epoch, fit.learning_rate)
      fit.learning_rate = fit.learning_rate / 2
   end
   function mine.on_train_end() calls[#calls + 1] = "done" end
   local h = dense(0.5):fit { digits:take(32), epochs = 2, verbose = false, callbacks = { mine } }
   tap.equal(table.concat(calls, ", "), "begin 2, epoch 1, end 1 0.5, epoch 2, end 2 0.25, done")
   tap.equal(h.learning_rate[2], 0.25)
end)

tap.test("EarlyStopping stops after `patience` epochs without improvement and restores the best weights", function()
   local model, digests = dense(0.05), {}
   local stop = lab.EarlyStopping { monitor = "val_loss", patience = 2, restore_best_weights = true }
   local h = model:fit { digits, epochs = 60, validation_split = 0.3, verbose = false, callbacks = { stop },
      on_epoch = function(e) digests[e.epoch] = model:digest() end }
   tap.check(#h.epochs < 60)
   local best = 1
   for i, loss in ipairs(h.val_loss) do
      if loss < h.val_loss[best] then best = i end
   end
   tap.equal(stop.state.best_epoch, best)
   tap.equal(#h.epochs, best + 2)
   tap.equal(model:digest(), digests[best])
end)

tap.test("EarlyStopping maximises what is an accuracy", function()
   local stop = lab.EarlyStopping { monitor = "accuracy", patience = 1 }
   local h = dense():fit { digits, epochs = 12, verbose = false, callbacks = { stop } }
   for i = 2, #h.accuracy - 1 do tap.check(h.accuracy[i] > h.accuracy[i - 1], "epoch " .. i) end
end)

tap.test("EarlyStopping with a baseline counts from the first epoch until it is beaten", function()
   local function epochs(baseline)
      local stop = lab.EarlyStopping { monitor = "loss", patience = 3, baseline = baseline }
      return #dense(0):fit { digits:take(32), epochs = 12, verbose = false, callbacks = { stop } }.epochs
   end
   tap.equal(epochs(1e-9), 3)
   tap.equal(epochs(nil), 4)
   tap.equal(epochs(1e9), 4)
end)

tap.test("ModelCheckpoint writes the best model", function()
   local path = tap.folder .. "/best-{epoch}.safetensors"
   local keep = lab.ModelCheckpoint { filepath = path, monitor = "loss", save_best_only = true }
   local model = dense()
   model:fit { digits, epochs = 2, verbose = false, callbacks = { keep } }
   tap.equal(keep.state.path, tap.folder .. "/best-02.safetensors")
   tap.equal(nn.load(keep.state.path):digest(), model:digest())
end)

tap.test("ReduceLROnPlateau lowers the rate on a plateau, down to min_lr", function()
   local slow = lab.ReduceLROnPlateau { monitor = "loss", factor = 0.1, patience = 1, min_delta = 1e9, min_lr = 1e-4 }
   local h = dense(0.01):fit { digits:take(64), epochs = 5, verbose = false, callbacks = { slow } }
   tap.near(h.learning_rate[1], 0.01)
   tap.near(h.learning_rate[3], 0.001)
   tap.near(h.learning_rate[4], 1e-4)
   tap.near(h.learning_rate[5], 1e-4)
end)

tap.test("LearningRateScheduler asks before each epoch", function()
   local s = lab.LearningRateScheduler { schedule = function(epoch, rate) return epoch == 1 and rate or rate / 2 end }
   local h = dense(0.08):fit { digits:take(64), epochs = 3, verbose = false, callbacks = { s } }
   tap.near(h.learning_rate[3], 0.02)
end)

tap.test("CSVLogger writes a line an epoch", function()
   local path = tap.folder .. "/log.csv"
   dense():fit { digits, epochs = 2, validation_split = 0.1, verbose = false,
      callbacks = { lab.CSVLogger { filename = path } } }
   local lines = {}
   for line in io.lines(path) do lines[#lines + 1] = line end
   tap.equal(lines[1], "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss")
   tap.equal(#lines, 3)
   tap.check(lines[3]:find "^2,0%.%d+,0%.01,", lines[3])
end)

local function rates(schedule, epochs)
   local model = dense()
   model:compile { optimizer = optim.SGD { learning_rate = schedule }, loss = "sparse_categorical_crossentropy" }
   local steps = {}
   local h = model:fit { digits:take(100), epochs = epochs, batch_size = 10, verbose = false,
      on_batch = function(b) steps[#steps + 1] = b.learning_rate end }
   return h.learning_rate, steps
end

tap.test("a schedule by epoch", function()
   local r = rates(lab.schedules.step { learning_rate = 0.4, drop = 0.5, every = 2 }, 5)
   for i, wanted in ipairs { 0.4, 0.4, 0.2, 0.2, 0.1 } do tap.near(r[i], wanted, 1e-12) end
end)

tap.test("schedules by step", function()
   local _, s = rates(lab.schedules.cosine { learning_rate = 0.1 }, 2)
   tap.equal(#s, 20)
   for i = 0, 19 do tap.near(s[i + 1], 0.05 * (1 + math.cos(math.pi * i / 20)), 1e-9, "step " .. i) end
   _, s = rates(lab.schedules.exponential { learning_rate = 0.1, decay = 0.5 }, 2)
   tap.near(s[11], 0.05, 1e-9)
   _, s = rates(lab.schedules.warmup { epochs = 1, after = 0.2 }, 2)
   tap.near(s[1], 0.02, 1e-9)
   tap.near(s[10], 0.2, 1e-9)
   tap.near(s[20], 0.2, 1e-9)
   _, s = rates(lab.schedules.one_cycle { learning_rate = 1, rise = 0.5 }, 2)
   tap.near(s[1], 1 / 25, 1e-9)
   tap.check(math.max(table.unpack(s)) > 0.98 and s[20] < 0.001)
end)

tap.test("any function is a schedule", function()
   local r = rates(function(epoch) return 0.1 / epoch end, 3)
   tap.near(r[3], 0.1 / 3, 1e-12)
   local asked = {}
   local _, s = rates(function(_, step)
      asked[#asked + 1] = step
      return 0.001 * (step + 1)
   end, 1)
   tap.near(s[10], 0.01, 1e-12)
   tap.equal(asked[#asked], 9)
end)

tap.test("class weights go by label", function()
   local set = lab.data.table { inputs = { { 1, 0 }, { 0, 1 } }, targets = { 0, 1 } }
   local function loss_of(weights)
      lab.experiment { name = "fit", seed = 3 }
      local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 2, activation = "softmax" } }
      model:compile { optimizer = optim.SGD { learning_rate = 0 }, loss = "sparse_categorical_crossentropy" }
      return model:fit { set, class_weight = weights, verbose = false }.loss[1], model
   end
   local plain, model = loss_of(nil)
   local y = model:forward { { 1, 0 }, { 0, 1 } }
   local l0, l1 = -math.log(y[1][1]), -math.log(y[2][2])
   tap.near(plain, (l0 + l1) / 2, 1e-5)
   local weighted = loss_of { [1] = 3 }
   tap.check(math.abs(weighted - (l0 + 3 * l1) / 2) < 1e-5 or math.abs(weighted - (l0 + 3 * l1) / 4) < 1e-5,
      ("%g is neither the mean over samples nor over weights"):format(weighted))
end)

tap.test("fit yields through a coroutine", function()
   local model = dense()
   local co = coroutine.create(function()
      return model:fit { digits, epochs = 3, verbose = false, on_epoch = function(e) coroutine.yield(e.epoch) end }
   end)
   local got = {}
   repeat
      local ok, v = coroutine.resume(co)
      tap.check(ok, v)
      got[#got + 1] = v
   until coroutine.status(co) == "dead"
   tap.equal(got[3], 3)
   tap.equal(#got[4].epochs, 3)
end)

tap.test("a fit within a fit's callback works", function()
   local inner
   local h = dense():fit { digits:take(64), epochs = 2, verbose = false, on_epoch = function(e)
      if e.epoch == 1 then inner = dense():fit { digits:take(64), epochs = 1, verbose = false } end
   end }
   tap.equal(#inner.epochs, 1)
   tap.equal(#h.epochs, 2)
end)

tap.test("metrics and losses go by Keras's names in either spelling", function()
   local model = dense()
   model:compile {
      optimizer = "rmsprop", loss = lab.losses.SparseCategoricalCrossentropy {},
      metrics = { "accuracy", lab.metrics.SparseTopKCategoricalAccuracy { k = 3 } },
   }
   local r = model:evaluate(digits)
   tap.check(r.accuracy and r.sparse_top_k_categorical_accuracy >= r.accuracy)
end)

tap.test("predictions have class, probability and all probabilities", function()
   local model = dense()
   model:fit { digits, epochs = 6, verbose = false }
   local path = tap.folder .. "/seven.png"
   for i = 1, 20 do
      if digits:target(i) == 7 then digits:save_picture(i, path) end
   end
   local p = model:predict(path)
   tap.equal(#p.probabilities, 10)
   tap.equal(p.probability, p.probabilities[p.class + 1])
   tap.equal(p.label, tostring(p.class))
   tap.equal(#model:predict { path, path }, 2)
   local all, right = model:predict(digits), 0
   for i, a in ipairs(all) do
      if a.class == digits:target(i) then right = right + 1 end
   end
   tap.near(right / #digits, model:evaluate(digits).accuracy, 1e-9)
end)

tap.done()
