--- lab.schedules: how the learning rate changes.
--
-- A schedule is given as the optimizer's learning_rate: optim.SGD { learning_rate = lab.schedules.cosine { … } }.
-- Any function(epoch) or function(epoch, step) serves too: epochs count from 1, steps (batches done) from 0.  With
-- two parameters it is asked before every batch, with one before every epoch.  Each schedule below is one formula.

local core, load = ...
local options = load "options"
local text = load "text"

local schedules = {}
local Schedule = { __name = "schedule", __hash = { "name", "by_step", "f" } } -- see hash.lua
Schedule.__index = Schedule
Schedule.__tostring = function(self) return "the schedule " .. self.name end

function schedules.is(x) return getmetatable(x) == Schedule end

-- f(epoch, step, plan): plan has epochs, batches (an epoch), steps (in all).
local function new(name, by_step, f)
   return setmetatable({ name = name, by_step = by_step, f = f, where = core.where() }, Schedule)
end

--- A function or schedule as a schedule.
function schedules.as(x)
   if schedules.is(x) then return x end
   local parameters = debug.getinfo(x, "u").nparams
   return new("function", parameters > 1, function(epoch, step) return x(epoch, step) end)
end

local rate = { "number", required = true, min = 0 }

--- learning_rate * drop ^ floor((epoch - 1) / every)
function schedules.step(given)
   local o = options.read("schedules.step", given, {
      learning_rate = rate,
      drop = { "number", default = 0.5, above = 0, max = 1 },
      every = { "integer", default = 10, min = 1 },
   })
   return new("step", false, function(epoch) return o.learning_rate * o.drop ^ ((epoch - 1) // o.every) end)
end

--- learning_rate * decay ^ (epochs done, with their fraction)
function schedules.exponential(given)
   local o = options.read("schedules.exponential", given, {
      learning_rate = rate,
      decay = { "number", default = 0.9, above = 0, max = 1 },
   })
   return new("exponential", true, function(_, step, plan) return o.learning_rate * o.decay ^ (step / plan.batches) end)
end

-- Half a cosine from 1 to 0 as t goes from 0 to 1.
local function half_cosine(t) return (1 + math.cos(math.pi * math.min(t, 1))) / 2 end

--- From learning_rate to `final` along half a cosine, over all epochs or the first `epochs`
-- (Loshchilov, Hutter: "SGDR", 2017, without restarts).
function schedules.cosine(given)
   local o = options.read("schedules.cosine", given, {
      learning_rate = rate,
      final = { "number", default = 0, min = 0 },
      epochs = { "integer", min = 1 },
   })
   return new("cosine", true, function(_, step, plan)
      local steps = o.epochs and o.epochs * plan.batches or plan.steps
      return o.final + (o.learning_rate - o.final) * half_cosine(step / steps)
   end)
end

--- Rises in a line to the first rate of `after` (a number or schedule) during `epochs`; then follows it.
function schedules.warmup(given)
   local o = options.read("schedules.warmup", given, {
      epochs = { "number", default = 1, above = 0 },
      after = { "number|schedule", required = true, min = 0 },
   })
   local after = o.after
   if type(after) == "number" then after = schedules.as(function() return o.after end) end
   return new("warmup", true, function(epoch, step, plan)
      local steps = math.max(1, math.floor(o.epochs * plan.batches + 0.5))
      if step < steps then return after.f(1, 0, plan) * (step + 1) / steps end
      local rest = { epochs = plan.epochs, batches = plan.batches, steps = math.max(1, plan.steps - steps) }
      return after.f(epoch, step - steps, rest)
   end)
end

--- Up from learning_rate / start to learning_rate during the first `rise` of all steps, then down to learning_rate
-- / final, each along half a cosine (Smith, Topin: "Super-convergence", 2018).
function schedules.one_cycle(given)
   local o = options.read("schedules.one_cycle", given, {
      learning_rate = rate,
      rise = { "number", default = 0.3, above = 0, below = 1 },
      start = { "number", default = 25, min = 1 },
      final = { "number", default = 1e4, min = 1 },
   })
   local high, low, last = o.learning_rate, o.learning_rate / o.start, o.learning_rate / o.final
   return new("one_cycle", true, function(_, step, plan)
      local t = step / math.max(1, plan.steps - 1)
      if t < o.rise then return high + (low - high) * half_cosine(t / o.rise) end
      return last + (high - last) * half_cosine((t - o.rise) / (1 - o.rise))
   end)
end

------------------------------------------------------------------------------------------- used by fit

local Rates = {}
Rates.__index = Rates

--- Applies a schedule (or nil) to a fit's trainer.
function schedules.rates(schedule, fit)
   local plan = { epochs = fit.epochs, batches = fit.batches, steps = fit.epochs * fit.batches }
   local by_step = schedule and schedule.by_step or false
   return setmetatable({ schedule = schedule, fit = fit, plan = plan, by_step = by_step }, Rates)
end

local function set(self, epoch, step)
   local value = self.schedule.f(epoch, step, self.plan)
   if type(value) ~= "number" or not (value >= 0 and value < math.huge) then
      local message = "%s: the learning rate's schedule must return a number from 0; for epoch %d, step %d it gave %s"
      error(message:format(self.schedule.where, epoch, step, text.show(value)), 0)
   end
   self.fit.learning_rate = value
end

function Rates:epoch(epoch, step)
   if self.schedule then set(self, epoch, step) end
end

function Rates:step(epoch, step)
   if self.by_step and step < self.plan.steps then set(self, epoch, step) end
end

local known = { "step", "exponential", "cosine", "warmup", "one_cycle" }
return setmetatable(schedules, {
   __name = "lab.schedules",
   __index = function(_, key) return text.unknown("lab.schedules", key, { table.unpack(known) }) end,
})
