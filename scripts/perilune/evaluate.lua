--- model:evaluate(set): loss and metrics, recorded under the model's last run.

local core, load = ...
local data = load "data"
local model = load "model"
local options = load "options"
local session = load "session"
local text = load "text"

local evaluate = {}

-- What evaluate returns prints as "loss 0.0803   accuracy 0.9771".
local Results = { __name = "results" }
Results.__tostring = function(self)
   local words = {}
   for _, name in ipairs(text.keys(self)) do
      if name ~= "loss" then words[#words + 1] = ("%s %s"):format(name, text.metric(self[name])) end
   end
   return table.concat({ "loss " .. text.metric(self.loss), table.unpack(words) }, "   ")
end

function evaluate.evaluate(self, set, given)
   if not data.is(set) then text.fail("evaluate wants a data set, got %s", text.show(set)) end
   if not self.recipe then text.fail("evaluate: compile the model first, so that loss and metrics are known") end
   local o = options.read("evaluate", given, { batch_size = { "integer", default = 128, min = 1 } })
   if #set == 0 then text.fail("evaluate: the data set is empty") end
   local handle = model.ready(self, set.shape)
   local values = core.evaluate(handle, self.recipe, set.handle, math.min(o.batch_size, #set))
   session.evaluated(self.run, set, values)
   return setmetatable(values, Results)
end

return evaluate
