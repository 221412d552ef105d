--- Sets the learning rate at the beginning of each epoch: schedule(epoch, rate) returns the new one.  Epochs count
-- from 1.

local _, load = ...
local callbacks = load "callbacks"
local text = load "text"

return callbacks.define {
   name = "LearningRateScheduler",
   options = {
      { "function" },
      schedule = { "function" },
   },

   on_epoch_begin = function(self, epoch, fit)
      local schedule = self.options.schedule or self.options[1]
      if not schedule then self:fail("it needs schedule = function(epoch, rate) ... end") end
      local rate = schedule(epoch, fit.learning_rate)
      if type(rate) ~= "number" or not (rate >= 0 and rate < math.huge) then
         self:fail("the schedule must return a number from 0; for epoch %d it returned %s", epoch, text.show(rate))
      end
      fit.learning_rate = rate
   end,
}
