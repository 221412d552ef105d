--- model:fit { train, … }: the training loop.
--
-- The trainer (C) works until something happened; callbacks, schedules, recording, progress and Ctrl-C stand here, between
-- two of its steps, so that they are ordinary Lua: they may error, yield, or call anything.

local core, load = ...
local callbacks = load "callbacks"
local data = load "data"
local model = load "model"
local options = load "options"
local schedules = load "schedules"
local session = load "session"
local text = load "text"

local fit = {}

-- Keras's options; on_epoch, on_batch and seed are ours.
local rules = {
   { "dataset", required = true },
   validation_data = { "dataset" },
   validation_split = { "number", default = 0, min = 0, below = 1 },
   epochs = { "integer", default = 1, min = 1 },
   batch_size = { "integer", default = 32, min = 1 },
   shuffle = { "boolean", default = true },
   callbacks = { "list", default = {} },
   on_epoch = { "function" },
   on_batch = { "function" },
   class_weight = { "table" },
   sample_weight = { "list" },
   seed = { "integer", min = 0 },
   initial_epoch = { "integer", default = 0, min = 0 },
   verbose = { "boolean", default = true },
}

--------------------------------------------------------------------------------------------------- the data

-- As Keras: the last fraction, before any shuffling.
local function split(o)
   local set = o[1]
   if o.validation_split == 0 then return set, o.validation_data end
   if o.validation_data then text.fail("fit: give validation_split or validation_data, not both") end
   local n = math.floor(#set * (1 - o.validation_split) + 1e-9)
   if n < 1 or n >= #set then
      text.fail("fit: validation_split %s of %d samples leaves %d for training and %d for validation",
         core.number(o.validation_split), #set, n, #set - n)
   end
   return set:take(n), set:slice(n + 1)
end

-- Class weights by label (from 0), as a list for the engine; labels that are not named weigh 1.
local function class_weights(weights, set)
   if not weights then return nil end
   if set.nclasses == 0 then text.fail("fit: class_weight needs a data set with classes") end
   local list = {}
   for i = 1, set.nclasses do list[i] = 1 end
   for label, weight in pairs(weights) do
      if math.type(label) ~= "integer" or label < 0 or label >= set.nclasses then
         text.fail("fit: class_weight: there is no class %s; classes are 0 to %d", text.show(label), set.nclasses - 1)
      end
      if type(weight) ~= "number" or not (weight >= 0 and weight < math.huge) then
         text.fail("fit: class_weight: class %d has the weight %s; weights are numbers from 0", label, text.show(weight))
      end
      list[label + 1] = weight
   end
   return list
end

local function sample_weights(weights, set, train)
   if not weights then return nil end
   if #weights ~= #set then
      text.fail("fit: sample_weight has %d numbers for %d samples", #weights, #set)
   end
   local list = {}
   for i = 1, #train do
      local w = weights[i]
      if type(w) ~= "number" or not (w >= 0 and w < math.huge) then
         text.fail("fit: sample_weight: number %d is %s; weights are numbers from 0", i, text.show(w))
      end
      list[i] = w
   end
   return list
end

local function check_data(train, validation)
   if #train == 0 then text.fail("fit: the data set is empty") end
   if validation and #validation == 0 then text.fail("fit: the validation data are empty") end
   if validation and validation.part == "test" then
      session.say("note: validating on test data; what is chosen by it is no longer measured by it")
   end
end

-------------------------------------------------------------------------------------------------- the handle

-- What callbacks see of a fit: model, epochs, batch_size, learning_rate (may be set), stop(), train, validation.
local Fit = {}
Fit.__name = "fit"
Fit.__index = function(self, key)
   if key == "learning_rate" then return rawget(self, "trainer"):rate() end
   return Fit[key]
end
Fit.__newindex = function(self, key, value)
   if key ~= "learning_rate" then return rawset(self, key, value) end
   if type(value) ~= "number" or not (value >= 0 and value < math.huge) then
      text.fail("the learning rate must be a number from 0, got %s", text.show(value))
   end
   rawget(self, "trainer"):set { learning_rate = value }
end

--- Ends the training after this batch or epoch.
function Fit:stop(reason)
   rawset(self, "stopped", reason or true)
   self.trainer:stop()
end

------------------------------------------------------------------------------------------------- the history

local History = { __name = "history" }
History.__index = function(_, key)
   return type(key) == "string" and key:find "^val_" and text.fail("the history has no '%s'; fit had no validation data",
      key) or nil
end
History.__tostring = function(self)
   local lines = {}
   for i, e in ipairs(self.epochs) do
      lines[i] = ("epoch %d   loss %s"):format(e.epoch, text.metric(e.loss))
      for _, name in ipairs(self.names) do lines[i] = lines[i] .. ("   %s %s"):format(name, text.metric(e[name])) end
   end
   return table.concat(lines, "\n")
end

local function new_history(names)
   return setmetatable({ epochs = {}, names = names, loss = {} }, History)
end

local function remember(history, e)
   history.epochs[#history.epochs + 1] = e
   for _, name in ipairs { "loss", "learning_rate", "seconds", table.unpack(history.names) } do
      local list = rawget(history, name) or {}
      history[name] = list
      list[#list + 1] = e[name]
   end
end

-- The columns after loss: accuracy, val_loss, val_accuracy.
local function columns(metrics, validated)
   local names = { table.unpack(metrics) }
   if validated then
      names[#names + 1] = "val_loss"
      for _, name in ipairs(metrics) do names[#names + 1] = "val_" .. name end
   end
   return names
end

---------------------------------------------------------------------------------------------------- the loop

local function copy(t)
   local c = {}
   for k, v in pairs(t) do c[k] = v end
   return c
end

-- Ctrl-C, or `perilune stop`: saves what is there and ends the script.
local function interrupt(f, why)
   local where
   f.run:save("interrupted.safetensors", "interrupted", f.epoch, function(path)
      f.handle:save(path, { perilune = core.version, run = f.run:uuid() })
      where = path
   end)
   local message = ("interrupted in epoch %d of %d%s; the weights are in %s"):format(f.epoch, f.epochs, why, where)
   f.progress:stop()
   f.run:finish("interrupted", { message = message, digest = f.trainer:digest() })
   core.interrupt_honoured()
   error(message, 0)
end

local function check_interrupt(f)
   if core.interrupted() then interrupt(f, "") end
   if f.run:stop_requested() then interrupt(f, ", as was asked for") end
end

local function begin_epoch(f, epoch, step)
   f.epoch = epoch
   f.hooks:call("on_epoch_begin", epoch, f)
   f.rates:epoch(epoch, step)
end

local function end_epoch(f, event, history)
   local e = copy(event)
   f.run:epoch(e)
   remember(history, e)
   f.progress:epoch(e)
   f.hooks:call("on_epoch_end", e, f)
   if e.epoch < f.epochs and not f.stopped then begin_epoch(f, e.epoch + 1, e.step) end
end

local function train(f, history)
   local event = {}
   f.hooks:call("on_train_begin", f)
   begin_epoch(f, f.initial_epoch + 1, 0)
   repeat
      f.trainer:next(event, f.every_batch, f.progress.interval)
      local kind = event.kind
      if kind == "batch" then
         f.hooks:call("on_batch_end", event, f)
         f.rates:step(event.epoch, event.step)
      elseif kind == "epoch" then
         end_epoch(f, event, history)
         event = {}
      end
      if kind == "batch" or kind == "tick" then f.progress:tick(event) end
      if kind ~= "done" then check_interrupt(f) end
   until kind == "done"
   f.hooks:call("on_train_end", f)
end

local function finish(f, history)
   f.run:save("final.safetensors", "final", #history.epochs, function(path)
      f.handle:save(path, { perilune = core.version, run = f.run:uuid() })
   end)
   f.run:finish("done", { digest = f.trainer:digest() })
   history.best_epoch, history.run, history.stopped = f.run.best_epoch, f.run:id(), f.stopped
   f.progress:done(f.run)
end

--- Trains `self` (a model) as the options say; returns the history.
function fit.fit(self, given)
   local o = options.read("fit", given, rules)
   if not self.recipe then text.fail("fit: compile the model first, model:compile { optimizer = ..., loss = ... }") end
   local train_set, validation = split(o)
   check_data(train_set, validation)
   if o.initial_epoch >= o.epochs then
      text.fail("fit: initial_epoch %d leaves nothing of %d epochs", o.initial_epoch, o.epochs)
   end
   local hooks = callbacks.hooks(o)
   local weights = { class_weights(o.class_weight, train_set), sample_weights(o.sample_weight, o[1], train_set) }
   local handle = model.ready(self, train_set.shape)
   if train_set.classes and not handle:classes() then handle:classes(train_set.classes) end
   session.warn_unasked()

   local seed = o.seed or session.seed()
   local metrics = self.recipe:metrics()
   local guard <close> = core.interrupts()
   local run <close> = session.begin {
      handle = handle, recipe = self.recipe, optimizer = self.optimizer, epochs = o.epochs, batch_size = o.batch_size,
      seed = seed, train = train_set, validation = validation, given = given,
   }
   local trainer <close> = core.trainer(handle, self.recipe, train_set.handle, validation and validation.handle or nil, {
      epochs = o.epochs, batch_size = o.batch_size, seed = seed, shuffle = o.shuffle, initial_epoch = o.initial_epoch,
      class_weight = weights[1], sample_weight = weights[2],
   })
   local f = setmetatable({
      model = self, handle = handle, trainer = trainer, run = run, hooks = hooks, epochs = o.epochs,
      batch_size = o.batch_size, initial_epoch = o.initial_epoch, train = train_set, validation = validation,
      batches = (#train_set + o.batch_size - 1) // o.batch_size,
   }, Fit)
   f.rates = schedules.rates(self.schedule, f)
   f.every_batch = hooks:has "on_batch_end" or f.rates.by_step
   local history = new_history(columns(metrics, validation ~= nil))
   f.progress = load "progress".new {
      run = run, fit = f, seed = seed, names = history.names, quiet = not o.verbose,
   }
   self.run, self.trained, self.history = run, true, history
   hooks.run = run
   local line <close> = f.progress
   train(f, history)
   finish(f, history)
   return history
end

return fit
