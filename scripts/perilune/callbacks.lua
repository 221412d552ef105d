--- lab.callbacks, and how fit calls them.
--
-- A callback is a table with any of these functions:
--
--    on_train_begin(self, fit)          on_train_end(self, fit)
--    on_epoch_begin(self, epoch, fit)   on_epoch_end(self, e, fit)     e: epoch, loss, accuracy, val_loss, …
--    on_batch_end(self, b, fit)                                        b: epoch, batch, batches, loss, …
--
-- `fit` has model, epochs, learning_rate (may be set), stop(reason), train, validation.  What a callback must
-- remember from epoch to epoch belongs into its table `state` (numbers, texts, tables of them), so that it
-- survives an interruption; after one, `fit.resumed` says how many epochs were done, and what on_train_begin does
-- to `state` is undone.  The built-in ones are short; read one (callbacks/EarlyStopping.lua) to write your own
-- with lab.callbacks.define.

local core, load = ...
local options = load "options"
local session = load "session"
local text = load "text"

local callbacks = {}
local Hooks = {}
Hooks.__index = Hooks

local methods = { "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_batch_end" }

------------------------------------------------------------------------------------------------- definition

--- Makes a constructor: d has name, options (see options.lua) and the functions above.  In them, self.options are the
-- checked options, self.state a table, and self:fail(…) is an error that names the line where the callback was
-- written.
function callbacks.define(d)
   local meta = { __name = d.name, __index = d, __hash = { "library", "options", class = true } } -- see hash.lua
   function d:fail(format, ...)
      error(("%s: %s: %s"):format(self.where, d.name, format:format(...)), 0)
   end
   return function(given)
      local o = options.read(d.name, given, d.options or {})
      return setmetatable({ options = o, state = {}, where = core.where(), library = d.name }, meta)
   end
end

--- For callbacks that watch a value: is `value` better than `best` by more than min_delta?
function callbacks.improved(mode, monitor, value, best, min_delta)
   if best == nil then return value == value end
   local goal = mode == "auto" and session.goal_of(monitor) or mode
   if goal == "max" then return value - math.abs(min_delta or 0) > best end
   return value + math.abs(min_delta or 0) < best
end

--- mode is auto, min or max.
function callbacks.check_mode(self)
   local mode = self.options.mode
   if mode ~= "auto" and mode ~= "min" and mode ~= "max" then
      self:fail("option 'mode' must be \"auto\", \"min\" or \"max\", got %s", text.show(mode))
   end
end

--- The monitored value of an epoch, or an error that lists what there is.
function callbacks.monitored(self, e)
   local name = self.options.monitor
   if type(e[name]) == "number" then return e[name] end
   local names = {}
   for key, value in pairs(e) do
      if type(value) == "number" and (key:find "loss" or key:find "^val_" or e["val_" .. key]) then
         names[#names + 1] = key
      end
   end
   table.sort(names)
   local hint = name:find "^val_" and not e.val_loss and "; fit has no validation data" or ""
   return self:fail("no epoch has a '%s'%s; there are %s", name, hint, table.concat(names, ", "))
end

------------------------------------------------------------------------------------------------- calling

local function name_of(entry, i)
   local name = entry.library or rawget(entry, "name")
   return type(name) == "string" and ("callback %s"):format(name) or ("callback %d"):format(i)
end

local function check_entry(entry, i)
   if type(entry) == "function" then
      text.fail("fit: callback %d is a function; write on_epoch = function(e) ... end, or put { } after a constructor",
         i)
   end
   if type(entry) ~= "table" then text.fail("fit: callback %d is %s; a callback is a table", i, text.show(entry)) end
   local found = false
   for _, method in ipairs(methods) do
      local f = entry[method]
      if f ~= nil and type(f) ~= "function" then
         text.fail("fit: callback %d: %s must be a function, got %s", i, method, text.show(f))
      end
      found = found or f ~= nil
   end
   for _, key in ipairs(text.keys(entry)) do
      if type(key) == "string" and key:find "^on_" and type(entry[key]) == "function" then
         local known = false
         for _, method in ipairs(methods) do known = known or method == key end
         if not known then
            local near = core.nearest(key, methods)
            text.fail("fit: callback %d: there is no '%s'%s", i, key, near and (" (did you mean '%s'?)"):format(near) or
               "; there are " .. table.concat(methods, ", "))
         end
      end
   end
   if not found then text.fail("fit: callback %d has no function that fit calls, such as on_epoch_end", i) end
end

--- The callbacks of a fit, in the order of their list, then on_epoch and on_batch.
function callbacks.hooks(o)
   local self = setmetatable({}, Hooks)
   for i, entry in ipairs(o.callbacks) do
      check_entry(entry, i)
      self[i] = { entry = entry, name = name_of(entry, i) }
   end
   local function own(name, f, method)
      if not f then return end
      local function call(_, e, fit)
         if f(e, fit) == false then fit:stop(name) end
      end
      self[#self + 1] = { entry = { [method] = call }, name = name, alone = true, f = f }
   end
   own("on_epoch", o.on_epoch, "on_epoch_end")
   own("on_batch", o.on_batch, "on_batch_end")
   return self
end

function Hooks:has(method)
   for _, hook in ipairs(self) do
      if hook.entry[method] then return true end
   end
   return false
end

-- An error in a callback keeps its line and gains the callback's name.
local function annotate(self, hook, method, err)
   if err ~= nil and type(err) ~= "string" then
      local where, line = core.where()
      self.run.failure = { message = text.show(err), source = where:match "^(.*):%d+$", line = line }
      return err
   end
   if hook.entry.library then return err end -- built in: the message says it all
   local what = hook.alone and hook.name or ("%s, %s"):format(hook.name, method)
   if err == nil then return ("%s: in %s: the error is nil"):format(core.where(), what) end
   local source, line, rest = core.place(err)
   if not source then return ("%s: in %s: %s"):format(core.where(), what, err) end
   return ("%s:%d: in %s: %s"):format(source, line, what, rest)
end

function Hooks:call(method, ...)
   for _, hook in ipairs(self) do
      local f = hook.entry[method]
      if f then
         local ok, err = xpcall(f, function(e) return annotate(self, hook, method, e) end, hook.entry, ...)
         if not ok then error(err, 0) end
      end
   end
end

------------------------------------------------------------------------------------------------ lab.callbacks

return setmetatable(callbacks, {
   __name = "lab.callbacks",
   __index = function(self, name)
      local make = type(name) == "string" and load("callbacks/" .. name)
      if make then
         rawset(self, name, make)
         return make
      end
      return nil
   end,
})
