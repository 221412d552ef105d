-- The net, in a module of its own, so that a replay needs the module's recorded text.
local shape = {}

function shape.net(nn, fit)
   return nn.Sequential {
      nn.Input { 28, 28, 1 }, nn.Flatten {},
      nn.Dense { units = 16 * fit, activation = "relu" }, nn.Dropout { rate = 0.3 },
      nn.Dense { units = 10, activation = "softmax" },
   }
end

return shape
