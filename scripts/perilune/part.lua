--- Optimizers, losses and metrics as scripts write them: by name, or as a table of options from lab.optim, lab.losses,
-- lab.metrics.  Keras's spellings all serve: "adam", "Adam", "sparse_categorical_crossentropy",
-- "SparseCategoricalCrossentropy".

local core, load = ...
local text = load "text"

local part = {}
local Part = { __name = "part", __hash = { "kind", "type", "options", "schedule" } } -- see hash.lua
Part.__index = Part
Part.__tostring = function(self) return ("%s %s"):format(self.kind, self.type) end

local function plain(name) return (name:lower():gsub("_", "")) end

--- The registered type that `name` means, or the name itself (whose error then says what there is).
function part.resolve(kind, name)
   local wanted = plain(name)
   for _, known in ipairs(core.names(kind)) do
      if plain(known) == wanted then return known end
   end
   return name
end

function part.is(x, kind)
   return getmetatable(x) == Part and x.kind == kind
end

local function copy(options)
   local t = {}
   for k, v in pairs(options or {}) do t[k] = v end
   return t
end

--- One part.  A function as the learning rate is a schedule: it is kept apart, and begins with its first value.
function part.new(kind, name, options)
   if options ~= nil and type(options) ~= "table" or getmetatable(options) ~= nil then
      text.fail("%s: options stand in a table { name = value, ... }, got %s", name, text.show(options))
   end
   local self = { kind = kind, type = name, options = copy(options), where = core.where() }
   local rate = self.options.learning_rate
   if kind == "optimizer" and rate ~= nil and (type(rate) == "function" or load "schedules".is(rate)) then
      self.schedule = load "schedules".as(rate)
      self.options.learning_rate = nil
   end
   if kind ~= "metric" then
      local recipe <close> = core.recipe(self.where) -- wrong options are found here, in this line
      recipe[kind](recipe, name, self.options, self.where)
   end
   return setmetatable(self, Part)
end

--- The table lab.optim, lab.losses or lab.metrics.
function part.family(kind, word)
   return setmetatable({}, {
      __name = word,
      __index = function(self, name)
         if type(name) ~= "string" then return text.unknown(word, name, core.names(kind)) end
         local known = part.resolve(kind, name)
         if not core.find(kind, known) then
            local near = core.nearest(name, core.names(kind))
            return text.fail(near and "%s has no '%s' (did you mean '%s'?)" or "%s has no '%s'; it has %s", word, name,
               near or table.concat(core.names(kind), ", "))
         end
         local make = function(options) return part.new(kind, known, options) end
         rawset(self, name, make)
         return make
      end,
   })
end

return part
