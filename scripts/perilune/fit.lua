--- model:fit { train, … }: the training loop.
--
-- The trainer (C) works until something happened; callbacks, schedules, recording, progress and Ctrl-C stand here,
-- between two of its steps, so that they are ordinary Lua: they may error, yield, or call anything.

local core, load = ...
local callbacks = load "callbacks"
local checkpoint = load "checkpoint"
local data = load "data"
local model = load "model"
local options = load "options"
local replay = load "replay"
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
         text.fail("fit: class_weight: class %d has the weight %s; weights are numbers from 0", label,
            text.show(weight))
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
History.__hash = { "names", "loss", "val_loss", "best_epoch", "stopped" } -- see hash.lua
History.__index = function(_, key)
   return type(key) == "string" and key:find "^val_"
      and text.fail("the history has no '%s'; fit had no validation data", key) or nil
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
   f.checkpoint:save()
   local id = f.run:id()
   local message = ("interrupted in epoch %d of %d%s; go on with: perilune resume %s"):format(f.epoch, f.epochs, why,
      id > 0 and id or f.run:uuid())
   f.progress:stop()
   f.run:finish("interrupted", { message = message })
   core.interrupt_honoured()
   error(message, 0)
end

local function check_interrupt(f)
   if core.interrupted() then interrupt(f, "") end
   if f.run:stop_requested() then interrupt(f, ", as was asked for") end
end

-- What a callback draws from math.random depends on where the fit is, not on what was drawn before: a resumed one
-- draws the same.  Called before each event's callbacks.
local function reseed(f, word, number)
   math.randomseed(core.lua_seed(f.seed, ("fit %d, %s %d"):format(f.ordinal, word, number)))
end

local function begin_epoch(f, epoch, step)
   f.epoch = epoch
   reseed(f, "epoch", epoch)
   f.hooks:call("on_epoch_begin", epoch, f)
   f.rates:epoch(epoch, step)
end

local function end_epoch(f, event, history)
   local e = copy(event)
   f.run:epoch(e)
   remember(history, e)
   f.checkpoint:remember(e)
   f.progress:epoch(e)
   reseed(f, "end of epoch", e.epoch)
   f.hooks:call("on_epoch_end", e, f)
   if e.epoch < f.epochs and not f.stopped then begin_epoch(f, e.epoch + 1, e.step) end
end

-- The first epoch, or the place that a checkpoint was taken at: `saved` is what Lua kept then.
local function begin(f, history, saved)
   if saved then checkpoint.apply(f.hooks, f.functions, saved) end
   f.hooks:call("on_train_begin", f)
   if not saved then
      f.checkpoint:hooks() -- names what cannot be kept
      return begin_epoch(f, f.initial_epoch + 1, 0)
   end
   checkpoint.apply(f.hooks, f.functions, saved)
   for number = f.initial_epoch + 1, f.trainer:position() do
      local e = saved.epochs[number]
      f.run:restored(e)
      remember(history, e)
      f.checkpoint:remember(e)
   end
   f.epoch = math.min(f.trainer:position() + 1, f.epochs)
   if saved.stopped then f:stop(saved.stopped) end
end

local function train(f, history, saved)
   local event = {}
   begin(f, history, saved)
   repeat
      f.trainer:next(event, f.every_batch, f.progress.interval)
      local kind = event.kind
      if kind == "batch" then
         reseed(f, "step", event.step)
         f.hooks:call("on_batch_end", event, f)
         f.rates:step(event.epoch, event.step)
      elseif kind == "epoch" then
         end_epoch(f, event, history)
         event = {}
      end
      if kind == "batch" or kind == "tick" then f.progress:tick(event) end
      if kind ~= "done" then
         check_interrupt(f)
         f.checkpoint:tick()
      end
   until kind == "done"
   reseed(f, "end", 0)
   f.hooks:call("on_train_end", f)
end

-- The final weights hold what callbacks remember, for a replay of the script, which does not train again.
local function finish(f, history)
   local state = f.hooks[1] and replay.to_text(f.checkpoint:bytes(true)) or nil
   f.run:save("final.safetensors", "final", #history.epochs, function(path)
      f.handle:save(path, { perilune = core.version, run = f.run:uuid(), ["perilune.state"] = state })
   end)
   local remove = f.checkpoint:retire()
   if f.run:finish("done", { digest = f.trainer:digest() }) then remove() end
   history.best_epoch, history.run, history.stopped = f.run.best_epoch, f.run:id(), f.stopped
   f.progress:done(f.run)
end

------------------------------------------------------------------------------------------------- the identity

-- The fingerprint, or nil and why there is none; then the functions of the script that fit calls.
local function identify(self, request, settings)
   local list = {}
   for _, hook in ipairs(request.hooks) do list[#list + 1] = { hook.name, hook.f or hook.entry } end
   if self.schedule then list[#list + 1] = { "the learning rate's schedule", self.schedule } end
   local extra, why, functions
   if list[1] then extra, why, functions = load "hash".walk(list) end
   if why then return nil, why, functions end
   return core.fingerprint(request.handle, self.recipe, request.train.handle,
      request.validation and request.validation.handle or nil, settings, extra), nil, functions
end

-- A fit that is over: its epochs, weights and callbacks as they were left.
local function take(self, request, functions)
   local names = columns(self.recipe:metrics(), request.validation ~= nil)
   local history, run = new_history(names), session.begin(request)
   local epochs, stopped = replay.take(request.past, request, functions)
   for _, e in ipairs(epochs) do
      run:judge(e)
      remember(history, e)
   end
   self.run, self.trained, self.history = run, true, history
   history.best_epoch, history.run, history.stopped = run.best_epoch, run:id(), stopped
   return history
end

--- Trains `self` (a model) as the options say; returns the history.
function fit.fit(self, given)
   local first = type(given) == "table" and not data.is(given) and given[1]
   if type(first) == "table" and not data.is(first) then
      text.fail("fit needs a data set; make one of Lua tables with lab.data.table { inputs = ..., targets = ... }")
   end
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
   local settings = {
      epochs = o.epochs, batch_size = o.batch_size, seed = seed, shuffle = o.shuffle, initial_epoch = o.initial_epoch,
      class_weight = weights[1], sample_weight = weights[2],
   }
   local request = {
      handle = handle, recipe = self.recipe, optimizer = self.optimizer, epochs = o.epochs, batch_size = o.batch_size,
      seed = seed, train = train_set, validation = validation, given = given, hooks = hooks,
      initial_epoch = o.initial_epoch, batches = (#train_set + o.batch_size - 1) // o.batch_size,
      ordinal = session.next_fit(),
   }
   local functions
   request.fingerprint, request.unknown, functions = identify(self, request, settings)
   request.past = replay.past(request.ordinal)
   if request.past then
      replay.check(request.past, request)
      request.over = replay.is_over(request.past)
      if request.over then
         local history = take(self, request, functions)
         reseed(request, "after", 0)
         return history
      end
   end
   local guard <close> = core.interrupts()
   local run <close> = session.begin(request)
   local trainer <close> = core.trainer(handle, self.recipe, train_set.handle, validation and validation.handle or nil,
      settings)
   local f = setmetatable({
      model = self, handle = handle, trainer = trainer, run = run, hooks = hooks, epochs = o.epochs,
      batch_size = o.batch_size, initial_epoch = o.initial_epoch, train = train_set, validation = validation,
      batches = request.batches, seed = seed, ordinal = request.ordinal, functions = functions or {},
   }, Fit)
   local saved = request.past and replay.go_on(f, request.past) or nil
   if saved then f.resumed = f.trainer:position() end
   f.checkpoint = checkpoint.new(f, functions)
   f.rates = schedules.rates(self.schedule, f)
   f.every_batch = hooks:has "on_batch_end" or f.rates.by_step
   local history = new_history(columns(self.recipe:metrics(), validation ~= nil))
   f.progress = load "progress".new {
      run = run, fit = f, seed = seed, names = history.names, quiet = not o.verbose,
   }
   self.run, self.trained, self.history = run, true, history
   hooks.run = run
   local line <close> = f.progress
   train(f, history, saved)
   finish(f, history)
   reseed(f, "after", 0)
   return history
end

return fit
