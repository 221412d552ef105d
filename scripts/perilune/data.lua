--- lab.data: data sets, and views of them.
--
-- A data set knows its length (#set), take(n), slice(a, b), split(fraction), pick { … }, classes, name, shape,
-- input(i), target(i), save_picture(i, path), digest().  Samples count from 1; labels are data, from 0.  Views
-- copy nothing.

local core, load = ...
local options = load "options"
local text = load "text"

local Set = { __name = "dataset", __hash = { "handle" } } -- see hash.lua
local methods = {}
local data = {}

local function wrap(handle)
   local facts = handle:facts()
   local self = {
      handle = handle,
      name = facts.name ~= "" and facts.name or "data",
      part = facts.part or "",
      classes = facts.classes,
      nclasses = facts.nclasses,
      inputs = facts.inputs,
      target_shape = facts.target and facts.target.shape or nil,
      shape = facts.inputs[1].shape,
      total = facts.total,
   }
   return setmetatable(self, Set)
end

function data.is(x) return getmetatable(x) == Set end

--- "mnist test": what to call it.
function data.label(set)
   return set.part ~= "" and set.name .. " " .. set.part or set.name
end

--------------------------------------------------------------------------------------------------- views

function Set.__len(self) return self.handle:count() end

local function count_of(what, n, lo, hi)
   local i = type(n) == "number" and math.tointeger(n)
   if not i then text.fail("%s wants an integer, got %s", what, text.show(n)) end
   if i < lo or i > hi then
      text.fail("%s: %s is outside of %s to %s, which this set has", what, text.thousands(i), text.thousands(lo),
         text.thousands(hi))
   end
   return i
end

--- The first n samples.
function methods:take(n)
   n = count_of("take", n, 0, #self)
   return wrap(self.handle:slice(0, n))
end

--- Samples a to b, both included.
function methods:slice(a, b)
   a = count_of("slice", a, 1, math.max(#self, 1))
   b = b == nil and #self or count_of("slice", b, a - 1, #self)
   return wrap(self.handle:slice(a - 1, b))
end

--- The first part of this share of the samples, and the rest.
function methods:split(fraction)
   if type(fraction) ~= "number" or not (fraction > 0 and fraction < 1) then
      text.fail("split wants a fraction between 0 and 1, got %s", text.show(fraction))
   end
   local n = math.floor(#self * fraction + 0.5)
   return wrap(self.handle:slice(0, n)), wrap(self.handle:slice(n, #self))
end

--- The samples of a list of numbers, in its order.
function methods:pick(list)
   if type(list) ~= "table" then text.fail("pick wants a list of numbers, got %s", text.show(list)) end
   local which = {}
   for i, n in ipairs(list) do which[i] = count_of("pick", n, 1, #self) - 1 end
   return wrap(self.handle:pick(which))
end

------------------------------------------------------------------------------------------------- samples

--- Sample i as a flat table of the numbers that a model sees.
function methods:input(i, which)
   return self.handle:input(count_of("input", i, 1, #self), which)
end

--- Its label (a class from 0), number, or table of numbers; nil without targets.
function methods:target(i)
   return self.handle:target(count_of("target", i, 1, #self))
end

--- Writes sample i, a picture, as a PNG file.
function methods:save_picture(i, path)
   if type(path) ~= "string" then text.fail("save_picture wants a path, got %s", text.show(path)) end
   self.handle:picture(count_of("save_picture", i, 1, #self), path)
end

--- SHA-256 of the samples shown.
function methods:digest() return self.handle:digest() end

function Set.__tostring(self)
   local parts = {}
   for i, column in ipairs(self.inputs) do
      parts[i] = ("%s %s of %s"):format(column.name, text.shape(column.shape), column.type)
   end
   if self.nclasses > 0 then
      parts[#parts + 1] = ("%d classes"):format(self.nclasses)
   elseif self.target_shape then
      parts[#parts + 1] = ("target %s"):format(text.shape(self.target_shape))
   end
   return ("%s: %s samples, %s"):format(data.label(self), text.thousands(#self), table.concat(parts, ", "))
end

-- set.take(3) with a dot.
for name, method in pairs(methods) do
   methods[name] = function(self, ...)
      if not data.is(self) then
         text.fail("%s: write a colon, set:%s, so that it knows its set; got %s", name, name, text.show(self))
      end
      return method(self, ...)
   end
end

Set.__close = function(self) self.handle:close() end
Set.__index = function(_, key)
   if methods[key] then return methods[key] end
   if key == "classes" or key == "target_shape" then return nil end
   local names = text.keys(methods)
   for _, name in ipairs { "classes", "name", "part", "shape", "nclasses" } do names[#names + 1] = name end
   return text.unknown("dataset", key, names)
end

------------------------------------------------------------------------------------------------- sources

local function pair(train, test)
   return train:count() >= 0 and wrap(train), wrap(test)
end

local function folder_of(what, given)
   return options.read(what, given, { folder = { "string" } }).folder
end

--- MNIST: train (60,000), test (10,000).
function data.mnist(given) return pair(core.idx("mnist", folder_of("mnist", given))) end

--- Fashion-MNIST, in the same format.
function data.fashion_mnist(given) return pair(core.idx("fashion-mnist", folder_of("fashion_mnist", given))) end

--- CIFAR-10 (binary version): train, test.
function data.cifar10(given) return pair(core.cifar10(folder_of("cifar10", given))) end

--- Drawn digits in MNIST's format; no file is needed.  The same seed, the same digits.
function data.digits(given)
   local o = options.read("digits", given, {
      count = { "integer", default = 10000, min = 1, max = 10000000 },
      seed = { "integer", default = 1, min = 0 },
   })
   return wrap(core.digits(o.count, o.seed))
end

--- Is a set in one of the places where sets are looked for?  Its folder, or nil: "mnist", "fashion-mnist",
-- "cifar-10-batches-bin".
function data.find(name)
   if type(name) ~= "string" then text.fail("find wants the name of a set, got %s", text.show(name)) end
   return core.find_data(name)
end

-- { {0,0}, … } is one input; { left = { … }, right = { … } } are several, in the order of their names.
local function columns_of(inputs)
   if inputs[1] ~= nil then return { { name = "input", values = inputs } }, #inputs end
   local list, count = {}, nil
   for _, name in ipairs(text.keys(inputs)) do
      local values = inputs[name]
      if type(name) ~= "string" or type(values) ~= "table" then
         text.fail("table: inputs are a list of samples, or lists of samples by name")
      end
      count = count or #values
      if #values ~= count then
         text.fail("table: input '%s' has %d samples where the first one has %d", name, #values, count)
      end
      list[#list + 1] = { name = name, values = values }
   end
   if not list[1] or count == 0 then text.fail("table: inputs hold no sample") end
   return list, count
end

-- Whole numbers from 0 without dimension are class numbers.
local function looks_like_classes(targets)
   for _, v in ipairs(targets) do
      if math.type(v) ~= "integer" or v < 0 then return false end
   end
   return true
end

-- classes: how many, or their names; by default as many as the targets need.
local function classes_of(o)
   local classes, most = o.classes, 0
   if not o.targets then return nil, nil end
   if type(classes) == "table" then
      for i, name in ipairs(classes) do
         if type(name) ~= "string" then text.fail("table: class name %d is %s", i, text.show(name)) end
      end
      return #classes, classes
   end
   if classes then return classes, nil end
   if not looks_like_classes(o.targets) then return nil, nil end
   for _, v in ipairs(o.targets) do most = math.max(most, v) end
   if most >= 1000000 then return nil, nil end
   return most + 1, nil
end

--- A data set from Lua tables: data.table { inputs = { {0,0}, {0,1} … }, targets = { 0, 1 … } }.  Integers from 0 are
-- classes; write 1.0 (or tables) for values.
function data.table(given)
   local o = options.read("table", given, {
      inputs = { "table", required = true },
      targets = { "table" },
      classes = { "integer|table", min = 1 },
      name = { "string", default = "table" },
   })
   local columns, count = columns_of(o.inputs)
   if o.targets and #o.targets ~= count then
      text.fail("table: %d samples but %d targets", count, #o.targets)
   end
   local nclasses, classes = classes_of(o)
   return wrap(core.table {
      name = o.name, count = count, inputs = columns, targets = o.targets, nclasses = nclasses, classes = classes,
   })
end

local sources = { "mnist", "fashion_mnist", "cifar10", "digits", "table", "find" }
local face = setmetatable({}, {
   __name = "lab.data",
   __index = function(_, key) return text.unknown("lab.data", key, { table.unpack(sources) }) end,
})
for _, name in ipairs(sources) do rawset(face, name, data[name]) end
for _, name in ipairs { "is", "label", "wrap" } do rawset(face, name, data[name] or wrap) end

return face
