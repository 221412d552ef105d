--- Layers and symbolic values.
--
-- A layer is made once and may be applied several times (it then shares its weights).  Applying it to a value gives a
-- value; nothing is computed until nn.Model names inputs and outputs.  A source (nn.Input) is a value itself.

local core, load = ...
local text = load "text"

local Layer = {}
local Value = {}
local layer = {}

local function name_of(x)
   local meta = getmetatable(x)
   return meta == Layer and "layer" or meta == Value and "value" or nil
end

function layer.is_layer(x) return name_of(x) == "layer" end

--- A value: the output of a layer applied to values, or a source.
function layer.is_value(x)
   return name_of(x) == "value" or (name_of(x) == "layer" and x.source)
end

local function copy(options)
   if type(options) ~= "table" then return options end
   local t = {}
   for k, v in pairs(options) do t[k] = v end
   return t
end

--- Makes a layer of a registered type.  Wrong options are an error in the line where it is written.
function layer.new(kind, options, where)
   where = where or core.where()
   if options ~= nil and type(options) ~= "table" or getmetatable(options) ~= nil then
      text.fail("%s: options stand in a table, nn.%s { ... }, got %s", kind, kind, text.show(options))
   end
   local self = { type = kind, options = copy(options), where = where }
   self.handle = core.layer(kind, options, where)
   local _, most = self.handle:inputs()
   self.source = most == 0
   return setmetatable(self, Layer)
end

--- The same layer without weights, for a model that is built again.
function layer.renew(l)
   l.handle = core.layer(l.type, l.options, l.where)
end

local function as_inputs(l, x)
   if layer.is_value(x) then return { x } end
   if type(x) ~= "table" or getmetatable(x) ~= nil or #x == 0 then
      text.fail("%s is applied to a value or a list of values (such as nn.Input { 10 }), got %s", l.type, text.show(x))
   end
   for i, v in ipairs(x) do
      if not layer.is_value(v) then
         local hint = name_of(v) == "layer" and " (a layer that was not applied to anything)" or ""
         text.fail("%s: input %d is no value but %s%s", l.type, i, text.show(v), hint)
      end
   end
   return x
end

--- layer(x), layer { a, b }
function Layer.__call(self, x)
   if self.source then text.fail("%s is a source; it takes no input", self.type) end
   return setmetatable({ layer = self, inputs = as_inputs(self, x), output = 1 }, Value)
end

local Layer_methods = {}
Layer.__name = "layer"
Layer.__tostring = function(self) return ("nn.%s %s"):format(self.type, self.handle:options()) end
Layer.__index = Layer_methods

--- For layers with several outputs: y:output(2).
local Value_methods = {}
function Value_methods:output_at(n)
   if math.type(n) ~= "integer" or n < 1 then text.fail("outputs count from 1, got %s", text.show(n)) end
   return setmetatable({ layer = self.layer, inputs = self.inputs, output = n, of = self.of or self }, Value)
end

Value.__name = "value"
Value.__tostring = function(self) return ("the output of %s, %s"):format(self.layer.type, self.layer.where) end
Value.__index = Value_methods

return layer
