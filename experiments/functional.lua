-- The functional graph: two inputs, a layer used twice, a residual connection.
--
-- Two points of the plane go in; do they lie within 0.6 of each other?  Both pass through the same encoder (its weights
-- are shared), and a block adds what it found to what it was given.
--
--     perilune run experiments/functional.lua
--     perilune run experiments/functional.lua --set width=16 --set epochs=10
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "functional", seed = 7 }

-- Drawn from math.random, which follows the experiment's seed.
local function points(count)
   local left, right, targets = {}, {}, {}
   for i = 1, count do
      local ax, ay = 2 * math.random() - 1, 2 * math.random() - 1
      local bx, by = 2 * math.random() - 1, 2 * math.random() - 1
      left[i], right[i] = { ax, ay }, { bx, by }
      targets[i] = ((ax - bx) ^ 2 + (ay - by) ^ 2) ^ 0.5 < 0.6 and 1 or 0
   end
   return lab.data.table { name = "points", inputs = { left = left, right = right }, targets = targets }
end

local width = lab.param("width", 32)
local left, right = nn.Input { 2, name = "left" }, nn.Input { 2, name = "right" }

local encoder = nn.Dense { units = width, activation = "tanh", name = "encoder" }
local apart = nn.Subtract {} { encoder(left), encoder(right) }

local found = nn.Dense { units = width, activation = "relu" } (apart)
found = nn.Dense { units = width } (found)
local sum = nn.Activation { "relu" } (nn.Add {} { apart, found })

local near = nn.Dense { units = 1, activation = "sigmoid" } (sum)

local model = nn.Model { inputs = { left, right }, outputs = near, name = "near" }
print(model)

model:compile {
   optimizer = optim.Adam { learning_rate = lab.param("learning_rate", 3e-3) },
   loss      = "binary_crossentropy",
   metrics   = { "accuracy" },
}
model:fit {
   points(lab.param("samples", 4000)), validation_split = 1 / 8,
   epochs = lab.param("epochs", 20), batch_size = 32,
}
print(("accuracy on new points %.4f"):format(model:evaluate(points(1000)).accuracy))
for _, pair in ipairs { { { 0, 0 }, { 0.3, 0.2 } }, { { -0.8, 0 }, { 0.7, 0.7 } } } do
   local answer = model:predict(pair)
   print(("(%g, %g) and (%g, %g): near with %.2f"):format(pair[1][1], pair[1][2], pair[2][1], pair[2][2], answer.value))
end
