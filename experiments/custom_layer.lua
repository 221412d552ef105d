-- A layer of one's own, in C: custom_layer/snake.c.  Two commands build and use it:
--
--     cc -shared -fPIC -O3 -I engine/include experiments/custom_layer/snake.c -o experiments/custom_layer/snake.so
--     perilune run experiments/custom_layer.lua --plugins experiments/custom_layer
--
-- Where Perilune is installed, $(pkg-config --cflags perilune-plugin) stands for -I engine/include.
--
-- The same net learns a wave on [-6, 6] with tanh and with Snake; then both are asked how the wave goes on.  Snake
-- knows that some things repeat, and tanh does not.  docs/plugin-guide.md tells how the layer was written.
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "custom-layer", seed = 11 }

-- x and sin(2 x) + x / 5, from `from` to `to`.
local function wave(from, to, count)
   local inputs, targets = {}, {}
   for i = 1, count do
      local x = from + (to - from) * (i - 1) / (count - 1)
      inputs[i], targets[i] = { x }, { math.sin(2 * x) + x / 5 }
   end
   return lab.data.table { name = "wave", inputs = inputs, targets = targets }
end

local rate = lab.param("learning_rate", 3e-3)
local known, beyond = wave(-6, 6, lab.param("samples", 600)), wave(6, 9, 150)

local function train(name, activation)
   local model = nn.Sequential {
      nn.Input { 1 },
      nn.Dense { units = 64 }, activation(),
      nn.Dense { units = 64 }, activation(),
      nn.Dense { units = 1 },
   }
   model:compile {
      optimizer = optim.Adam { learning_rate = lab.schedules.cosine { learning_rate = rate } },
      loss = "mse",
   }
   model:fit { known, epochs = lab.param("epochs", 400), batch_size = 50, verbose = false }
   print(("%-6s squared error %.4f where it was trained, %.4f beyond"):format(name, model:evaluate(known).loss,
      model:evaluate(beyond).loss))
end

train("tanh", function() return nn.Activation { "tanh" } end)
train("Snake", function() return nn.Snake { a = lab.param("a", 1.0) } end)
