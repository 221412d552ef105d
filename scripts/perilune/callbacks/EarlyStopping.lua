--- Stops when the monitored value has not improved for `patience` epochs.  Keras's options.

local _, load = ...
local callbacks = load "callbacks"

return callbacks.define {
   name = "EarlyStopping",
   options = {
      monitor = { "string", default = "val_loss" },
      min_delta = { "number", default = 0 },
      patience = { "integer", default = 0, min = 0 },
      mode = { "string", default = "auto" },
      baseline = { "number" },
      restore_best_weights = { "boolean", default = false },
      start_from_epoch = { "integer", default = 0, min = 0 },
   },

   on_train_begin = function(self)
      callbacks.check_mode(self)
      self.state = { wait = 0, best = nil, best_epoch = 0, stopped_epoch = 0, weights = nil }
   end,

   on_epoch_end = function(self, e, fit)
      local o, state = self.options, self.state
      if e.epoch <= o.start_from_epoch then return end
      local value = callbacks.monitored(self, e)
      if o.restore_best_weights and not state.weights then
         state.weights, state.best_epoch = fit.handle:snapshot(), e.epoch
      end
      state.wait = state.wait + 1
      if callbacks.improved(o.mode, o.monitor, value, state.best, o.min_delta) then
         state.best, state.best_epoch = value, e.epoch
         if o.restore_best_weights then state.weights = fit.handle:snapshot() end
         -- The wait begins anew only when the baseline is beaten, too.
         if o.baseline == nil or callbacks.improved(o.mode, o.monitor, value, o.baseline, 0) then state.wait = 0 end
         return
      end
      if state.wait >= o.patience and e.epoch > 1 then
         state.stopped_epoch = e.epoch
         fit:stop(("%s has not improved since epoch %d"):format(o.monitor, state.best_epoch))
      end
   end,

   on_train_end = function(self, fit)
      if self.state.weights then fit.handle:restore(self.state.weights) end
      self.state.weights = nil
   end,
}
