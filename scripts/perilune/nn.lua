--- lab.nn: layers by their type's name, containers, models from files.
--
-- Any registered layer type is found when it is first asked for: nn.Conv2D, or a plugin of your own.  The macros in
-- layers/ (nn.Activation) are Lua.  nn.X { … } makes a layer; a layer called with a value is applied to it.

local core, load = ...
local layer = load "layer"
local model = load "model"
local text = load "text"

local nn = {
   Sequential = model.sequential,
   Model = model.functional,
   load = model.load,
}

local function names()
   local list = core.names "layer"
   for name in pairs(nn) do list[#list + 1] = name end
   for _, name in ipairs(core.files "layers/") do list[#list + 1] = name end
   return list
end

return setmetatable(nn, {
   __name = "nn",
   __index = function(self, name)
      if type(name) ~= "string" then return text.unknown("nn", name, names()) end
      local make = load("layers/" .. name)
      if not make then
         local found, why = core.find("layer", name)
         if not found then
            local near = core.nearest(name, names())
            return text.fail("%s", near and ("nn has no layer '%s' (did you mean '%s'?)"):format(name, near) or why)
         end
         make = function(options) return layer.new(name, options) end
      end
      rawset(self, name, make)
      return make
   end,
})
