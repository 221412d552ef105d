--- model:predict(x): x is the path of a PNG file, a list of paths, a data set, or numbers (one sample, or a list
-- of samples).
--
-- An answer holds `values`, the model's outputs.  Where these are scores of classes, also `class` (from 0),
-- `label` (its name, when the data had names); where they are probabilities, `probabilities` (by position: entry 1
-- is class 0) and `probability`, that of the class.  A model of one output gives `value`.

local core, load = ...
local data = load "data"
local model = load "model"
local options = load "options"
local text = load "text"

local predict = {}

local function size_of(shape)
   local n = 1
   for _, d in ipairs(shape) do n = n * d end
   return n
end

------------------------------------------------------------------------------------------------- the input

-- All numbers of nested tables, in order.
local function flatten(x, out)
   if type(x) == "number" then
      out[#out + 1] = x
   elseif type(x) == "table" and getmetatable(x) == nil then
      for i = 1, #x do flatten(x[i], out) end
   else
      text.fail("predict: numbers were expected, got %s", text.show(x))
   end
   return out
end

-- Numbers for each input of the model, and how many samples they are.
local function numbers_of(handle, x)
   local shapes = handle:shapes()
   if #shapes > 1 then
      if type(x) ~= "table" or #x ~= #shapes then
         text.fail("predict: this model has %d inputs; give a list of %d tables", #shapes, #shapes)
      end
      local all, n = {}, nil
      for i, shape in ipairs(shapes) do
         all[i] = flatten(x[i], {})
         local count = #all[i] // size_of(shape)
         n = n or count
         if count * size_of(shape) ~= #all[i] or count ~= n or n == 0 then
            text.fail("predict: input %d wants %d numbers a sample (%s), got %d", i, size_of(shape), text.shape(shape),
               #all[i])
         end
      end
      return all, n
   end
   local flat, size = flatten(x, {}), size_of(shapes[1])
   if #flat == 0 or #flat % size ~= 0 then
      text.fail("predict: a sample has %d numbers (%s), got %d", size, text.shape(shapes[1]), #flat)
   end
   return { flat }, #flat // size
end

------------------------------------------------------------------------------------------------- the answer

local function are_probabilities(values)
   local sum = 0
   for _, v in ipairs(values) do
      if not (v >= 0 and v <= 1) then return false end
      sum = sum + v
   end
   return math.abs(sum - 1) < 1e-3
end

local function answer(values, names)
   if #values == 1 then return { values = values, value = values[1] } end
   local best = 1
   for i, v in ipairs(values) do
      if v > values[best] then best = i end
   end
   local a = { values = values, class = best - 1, label = names and names[best] or nil }
   if are_probabilities(values) then a.probabilities, a.probability = values, values[best] end
   return a
end

local function answers(rows, names)
   for i, row in ipairs(rows) do rows[i] = answer(row, names) end
   return rows
end

-- One sample, or a list of them?  A table of numbers is one; so is a nested one of the input's rank.
local function is_one(x, handle)
   local shapes = handle:shapes()
   if #shapes > 1 then x = x[1] end
   local depth = 0
   while type(x) == "table" do x, depth = x[1], depth + 1 end
   return depth <= math.max(1, #shapes[1]) and (depth > 1 or #shapes[1] <= 1 or true)
end

function predict.predict(self, x, given)
   local o = options.read("predict", given, { batch_size = { "integer", default = 256, min = 1 } })
   if data.is(x) then
      local handle = model.ready(self, x.shape)
      if #x == 0 then return {} end
      return answers(handle:answer_set(x.handle, o.batch_size), handle:classes())
   end
   local handle = model.ready(self)
   local names = handle:classes()
   if type(x) == "string" then
      return answers(handle:answer({ core.picture(handle, x) }, 1), names)[1]
   end
   if type(x) ~= "table" or getmetatable(x) ~= nil then
      text.fail("predict wants a path, a list of paths, a data set or numbers, got %s", text.show(x))
   end
   if type(x[1]) == "string" then
      local list = {}
      for i, path in ipairs(x) do list[i] = predict.predict(self, path) end
      return list
   end
   local numbers, n = numbers_of(handle, x)
   local list = answers(handle:answer(numbers, n), names)
   return n == 1 and is_one(x, handle) and list[1] or list
end

--- The outputs alone: one row, or a list of rows.
function predict.forward(self, x)
   if data.is(x) then return model.ready(self, x.shape):answer_set(x.handle, 256) end
   local handle = model.ready(self)
   local numbers, n = numbers_of(handle, x)
   local rows = handle:answer(numbers, n)
   return n == 1 and is_one(x, handle) and rows[1] or rows
end

return predict
