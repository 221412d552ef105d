--- Lowers the learning rate when the monitored value has not improved for `patience` epochs.  Keras's options.

local core, load = ...
local callbacks = load "callbacks"
local session = load "session"

return callbacks.define {
   name = "ReduceLROnPlateau",
   options = {
      monitor = { "string", default = "val_loss" },
      factor = { "number", default = 0.1, above = 0, below = 1 },
      patience = { "integer", default = 10, min = 0 },
      mode = { "string", default = "auto" },
      min_delta = { "number", default = 1e-4 },
      cooldown = { "integer", default = 0, min = 0 },
      min_lr = { "number", default = 0, min = 0 },
      verbose = { "boolean", default = false },
   },

   on_train_begin = function(self)
      callbacks.check_mode(self)
      self.state = { wait = 0, cooldown = 0, best = nil }
   end,

   on_epoch_end = function(self, e, fit)
      local o, state = self.options, self.state
      local value = callbacks.monitored(self, e)
      if state.cooldown > 0 then
         state.cooldown, state.wait = state.cooldown - 1, 0
      end
      if callbacks.improved(o.mode, o.monitor, value, state.best, o.min_delta) then
         state.best, state.wait = value, 0
      elseif state.cooldown == 0 then
         state.wait = state.wait + 1
         local rate = fit.learning_rate
         if state.wait >= o.patience and rate > o.min_lr then
            fit.learning_rate = math.max(rate * o.factor, o.min_lr)
            state.cooldown, state.wait = o.cooldown, 0
            if o.verbose then
               session.say(("learning rate %s from epoch %d on"):format(core.number(fit.learning_rate), e.epoch + 1))
            end
         end
      end
   end,
}
