--- Saves the model after epochs: after each, or when the monitored value is better than ever.  `filepath` may hold
-- {epoch} and any value of the epoch: "best-{epoch}-{val_loss}.safetensors".

local core, load = ...
local callbacks = load "callbacks"
local text = load "text"

local function path_of(pattern, e)
   return (pattern:gsub("{([%w_]+)}", function(name)
      local value = e[name]
      if name == "epoch" then return ("%02d"):format(value) end
      return type(value) == "number" and text.metric(value) or nil
   end))
end

return callbacks.define {
   name = "ModelCheckpoint",
   options = {
      { "string" },
      filepath = { "string" },
      monitor = { "string", default = "val_loss" },
      save_best_only = { "boolean", default = false },
      mode = { "string", default = "auto" },
      initial_value_threshold = { "number" },
   },

   on_train_begin = function(self)
      callbacks.check_mode(self)
      self.options.filepath = self.options.filepath or self.options[1]
      if not self.options.filepath then self:fail("where to?  Give filepath = \"best.safetensors\"") end
      self.state = { best = self.options.initial_value_threshold }
   end,

   on_epoch_end = function(self, e, fit)
      local o, state = self.options, self.state
      if o.save_best_only then
         local value = callbacks.monitored(self, e)
         if not callbacks.improved(o.mode, o.monitor, value, state.best, 0) then return end
         state.best = value
      end
      local path = path_of(o.filepath, e)
      fit.handle:save(path, { perilune = core.version, run = fit.run:uuid(), epoch = tostring(e.epoch) })
      state.path, state.epoch = path, e.epoch
   end,
}
