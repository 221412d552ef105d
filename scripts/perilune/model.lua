--- Models: nn.Sequential, nn.Model, nn.load; and what a model can do.
--
-- The engine's model (`handle`) is built when its shapes are known: at once when a Sequential begins with
-- nn.Input, else when it first sees data.  Weights are drawn from the seed when they are first needed.

local core, load = ...
local layer = load "layer"
local options = load "options"
local part = load "part"
local session = load "session"
local text = load "text"

local Model = {}     -- the metatable
local methods = {}   -- what models can do
local model = {}

local function is_model(x) return getmetatable(x) == Model end

--------------------------------------------------------------------------------------------------- building

-- Applies `l` to values (the engine's numbers) and returns those of its outputs.
local function apply(self, l, values)
   if not self.order[l] then
      self.order[l] = true
      self.order[#self.order + 1] = l
   end
   return self.handle:apply(l.handle, values)
end

local function begin(self)
   self.handle = core.model()
   self.order, self.final, self.last = {}, false, nil
end

-- Sequential: applies what was added since.
local function extend(self, first)
   for i = first, #self.layers do self.last = apply(self, self.layers[i], self.last or {}) end
end

-- Does this data set's (or nothing's) first input give the shape?
local function build_sequential(self, shape)
   if not self.layers[1] then text.fail("the model has no layer yet") end
   begin(self)
   if not self.layers[1].source then
      local input = layer.new("Input", { table.unpack(shape) }, self.where)
      self.last = apply(self, input, {})
   end
   extend(self, 1)
end

-- Functional: applies layers from the outputs back to the inputs, each use once.
local function build_functional(self)
   local done, declared = {}, {}
   begin(self)
   for i, x in ipairs(self.inputs) do
      if not (layer.is_layer(x) and x.source) then
         text.fail("Model: inputs are sources such as nn.Input { 10 }; input %d is %s", i, text.show(x))
      end
      declared[x] = true
      done[x] = apply(self, x, {})
   end
   local function value_of(v)
      if layer.is_layer(v) and not declared[v] then
         text.fail("%s: %s is used by the model but does not stand in its inputs", v.where, v.type)
      end
      local source = v.of or v -- y:output_at(2) is another end of the same use
      if not done[source] then
         local values = {}
         for i, input in ipairs(source.inputs) do values[i] = value_of(input) end
         done[source] = apply(self, source.layer, values)
      end
      local at = done[source][v.output or 1]
      return at or text.fail("%s has %d outputs, not %d", v.layer.type, #done[source], v.output)
   end
   local outputs = {}
   for i, y in ipairs(self.outputs) do
      if not layer.is_value(y) then
         text.fail("Model: output %d is no value but %s", i, text.show(y))
      end
      outputs[i] = value_of(y)
   end
   self.handle:outputs(outputs)
   self.final = true
end

-- The complete model.  `shape`: of the first input, when the model does not say so itself.
local function complete(self, shape)
   if self.final then return self.handle end
   if not self.handle then
      if not shape then
         text.fail("the model does not know its input's shape yet; begin it with nn.Input { ... }, or call fit first")
      end
      build_sequential(self, shape)
   end
   self.handle:outputs { self.last[1] }
   self.final = true
   return self.handle
end
model.complete = complete

-- The complete model with weights.
function model.ready(self, shape)
   local handle = complete(self, shape)
   if not handle:initialized() then handle:initialize(session.seed()) end
   return handle
end

-- After weights were trained or loaded, no layer can be added.
local function add(self, l)
   if self.kind ~= "sequential" then text.fail("add works on nn.Sequential; this model is complete") end
   if self.trained then text.fail("the model has been trained; make a new one to add a layer") end
   if l.source and #self.layers > 0 then
      text.fail("%s: %s stands at the beginning, this is layer %d", l.where, l.type, #self.layers + 1)
   end
   self.layers[#self.layers + 1] = l
   if self.final then -- it was looked at in between: built again, from the same layers
      for _, old in ipairs(self.order) do layer.renew(old) end
      local old, shape = self.handle, self.handle:shapes()[1]
      build_sequential(self, shape)
      old:close()
   elseif self.handle then
      extend(self, #self.layers)
   elseif l.source and #self.layers == 1 then
      build_sequential(self)
   end
end

-- What may stand in nn.Sequential { … }: layers, and Sequentials that were not built, whose layers are taken over.
local function add_entry(self, entry, i)
   if layer.is_layer(entry) then return add(self, entry) end
   if is_model(entry) and entry.kind == "sequential" and not entry.handle then
      for _, l in ipairs(entry.layers) do add(self, l) end
      return
   end
   if type(entry) == "function" then
      text.fail("Sequential: entry %d is a layer's constructor; write { } after it, as in nn.Flatten {}", i)
   end
   text.fail("Sequential: entry %d is no layer but %s", i, text.show(entry))
end

local function new(kind, name)
   return setmetatable({ kind = kind, name = name, where = core.where() }, Model)
end

function model.sequential(given)
   if given ~= nil and type(given) ~= "table" or getmetatable(given) ~= nil then
      text.fail("Sequential wants a list of layers, nn.Sequential { nn.Input { ... }, ... }, got %s", text.show(given))
   end
   local last, name = 0, nil
   for key, value in pairs(given or {}) do
      if key == "name" and type(value) == "string" then
         name = value
      elseif math.type(key) == "integer" and key > 0 then
         last = math.max(last, key)
      else
         text.fail("Sequential: unknown option %s; it has name, and layers without names", text.show(key))
      end
   end
   local self = new("sequential", name or "sequential")
   self.layers = {}
   for i = 1, last do add_entry(self, given[i], i) end
   return self
end

local function as_list(x)
   if layer.is_value(x) then return { x } end
   return type(x) == "table" and getmetatable(x) == nil and #x > 0 and x or { x }
end

function model.functional(given)
   local o = options.read("Model", given, {
      inputs = { "any", required = true },
      outputs = { "any", required = true },
      name = { "string", default = "model" },
   })
   local self = new("functional", o.name)
   self.inputs, self.outputs = as_list(o.inputs), as_list(o.outputs)
   build_functional(self)
   return self
end

--- A model from a file that model:save wrote.
function model.load(path)
   if type(path) ~= "string" then text.fail("nn.load wants a path, got %s", text.show(path)) end
   local self = new("loaded", (path:match "([^/]*)$":gsub("%.safetensors$", "")))
   self.handle = core.load_model(path)
   self.final, self.trained = true, true
   return self
end

------------------------------------------------------------------------------------------------ what models do

--- Adds a layer at the end; returns the model.
function methods:add(l)
   add_entry(self, l, self.layers and #self.layers + 1 or 0)
   return self
end

local function as_part(kind, given, what)
   if part.is(given, kind) then return given end
   if type(given) == "string" then return part.new(kind, part.resolve(kind, given)) end
   return text.fail("compile: option '%s' must be a name or an entry of lab.%s, got %s", what,
      ({ optimizer = "optim", loss = "losses", metric = "metrics" })[kind], text.show(given))
end

-- "accuracy" is the engine's to resolve, by the loss; everything else may be spelt Keras's way.
local function metric_name(name)
   local known = part.resolve("metric", name)
   if known == "accuracy" or known == "acc" or core.find("metric", known) then return known end
   local names = core.names "metric"
   names[#names + 1] = "accuracy"
   local near = core.nearest(name, names)
   local hint = near and ("(did you mean '%s'?)"):format(near) or "; there are " .. table.concat(names, ", ")
   return text.fail("compile: unknown metric '%s'%s", name, near and " " .. hint or hint)
end

--- Says what to train for.  Returns the model.
function methods:compile(given)
   local o = options.read("compile", given, {
      optimizer = { "any", required = true },
      loss = { "any", required = true },
      metrics = { "list", default = {} },
   })
   local where = core.where()
   local recipe = core.recipe(where)
   local optimizer, loss = as_part("optimizer", o.optimizer, "optimizer"), as_part("loss", o.loss, "loss")
   recipe:optimizer(optimizer.type, optimizer.options, optimizer.where)
   recipe:loss(loss.type, loss.options, loss.where)
   for i, m in ipairs(o.metrics) do
      if type(m) == "string" then
         recipe:metric(metric_name(m), nil, where)
      elseif part.is(m, "metric") then
         recipe:metric(m.type, m.options, m.where)
      else
         text.fail("compile: metric %d must be a name or an entry of lab.metrics, got %s", i, text.show(m))
      end
   end
   self.recipe, self.optimizer, self.schedule = recipe, optimizer, optimizer.schedule
   return self
end

--- Trains.  See fit.lua for the options; returns the history.
function methods:fit(given)
   return load "fit".fit(self, given)
end

--- Loss and metrics on a data set: { loss =, accuracy = }.
function methods:evaluate(set, given)
   return load "evaluate".evaluate(self, set, given)
end

--- What the model says: see predict.lua.
function methods:predict(x, given)
   return load "predict".predict(self, x, given)
end

--- The outputs for one sample or a list of samples, as tables of numbers.
function methods:forward(x)
   return load "predict".forward(self, x)
end

--- A table of layers, shapes and sizes.
function methods:summary(given)
   return load "summary".summary(self, given)
end

--- Writes weights and architecture as safetensors.  The file also says which run and version it came from, unless
-- provenance = false: then the same weights give the same bytes.
function methods:save(path, given)
   if type(path) ~= "string" then text.fail("save wants a path, got %s", text.show(path)) end
   local o = options.read("save", given, { provenance = { "boolean", default = true } })
   local extra = {}
   if o.provenance then
      extra.perilune = core.version
      if self.run then extra.run = self.run:uuid() end
   end
   model.ready(self):save(path, extra)
   session.saved(path)
end

--- Reads the weights of a file into this model, which must have the same parameters.
function methods:load_weights(path)
   if type(path) ~= "string" then text.fail("load_weights wants a path, got %s", text.show(path)) end
   model.ready(self):load(path)
   return self
end

--- How many parameters there are, and how many of them are trained.
function methods:count_params()
   return complete(self):count()
end

--- { { name = "dense/kernel", shape = { 784, 10 }, size =, trainable =, state = }, … }
function methods:parameters()
   return complete(self):parameters()
end

--- weights "dense/kernel" reads nested tables of numbers; weights("dense/kernel", t) writes them.
function methods:weights(name, values)
   if type(name) ~= "string" then
      text.fail("weights wants a name such as \"dense/kernel\", got %s", text.show(name))
   end
   local handle = model.ready(self)
   if values == nil then return handle:read(name) end
   handle:write(name, values)
   return self
end

--- SHA-256 of all weights: the same digest, the same bits.
function methods:digest()
   return model.ready(self):digest()
end

--- Class names, or nil.
function methods:classes()
   return self.handle and self.handle:classes()
end

--- A Sequential is a layer too: its layers are applied one after the other.
function Model.__call(self, x)
   if self.kind ~= "sequential" or self.handle then
      text.fail("a model that is built cannot be applied as a layer; make its layers anew")
   end
   for _, l in ipairs(self.layers) do x = l(x) end
   return x
end

Model.__name, Model.__hash = "model", { "handle", "recipe", "schedule" } -- see hash.lua
-- model.fit { … } with a dot is a slip that everybody makes once.
for name, method in pairs(methods) do
   methods[name] = function(self, ...)
      if not is_model(self) then
         text.fail("%s: write a colon, model:%s, so that it knows its model; got %s", name, name, text.show(self))
      end
      return method(self, ...)
   end
end

Model.__tostring = function(self) return methods.summary(self) end
Model.__close = function(self)
   if self.handle then self.handle:close() end
end
Model.__index = function(_, key)
   if methods[key] then return methods[key] end
   if type(key) == "string" and model.fields[key] then return nil end
   return text.unknown("model", key, text.keys(methods))
end

-- Fields that may be absent.
model.fields = {}
for _, name in ipairs { "handle", "order", "final", "last", "layers", "inputs", "outputs", "recipe", "optimizer",
   "schedule", "run", "trained", "name", "kind", "where", "history" } do
   model.fields[name] = true
end

return model
