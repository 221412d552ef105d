--- nn.Activation { activation = "relu" }, or nn.Activation { "relu" }: the layer of that name.  Keras writes it so.

local core, load = ...
local layer = load "layer"
local options = load "options"
local text = load "text"

return function(given)
   local o = options.read("Activation", given, {
      { "string" },
      activation = { "string" },
      name = { "string" },
   })
   local kind = o.activation or o[1]
   if not kind then text.fail("Activation: which one?  For example nn.Activation { activation = \"relu\" }") end
   local found, why = core.find("layer", kind)
   if not found then text.fail("Activation: %s", why) end
   return layer.new(kind, { name = o.name })
end
