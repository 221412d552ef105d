-- The net of mnist_cnn.lua on drawn digits: no file is needed, and nothing is downloaded.
--
--     perilune run experiments/digits_cnn.lua
--     perilune run experiments/digits_cnn.lua --set count=60000 --set epochs=3
--
-- The digits are drawn from pen strokes, by rules, as people might have made them (engine/data/digits.c).  Where the
-- real MNIST is at hand, the script also says how well a net does on it that has seen drawn digits only.
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "digits-cnn", seed = 42, tags = { "baseline" } }

local count = lab.param("count", 30000)
local train = lab.data.digits { count = count, seed = 1 }
local test = lab.data.digits { count = 5000, seed = 2 }

local model = nn.Sequential {
   nn.Input   { 28, 28, 1 },
   nn.Conv2D  { filters = 10, kernel_size = 3 },
   nn.Flatten {},
   nn.Dense   { units = 128, activation = "relu" },
   nn.Dropout { rate = 0.2 },
   nn.Dense   { units = 10, activation = "softmax" },
}
print(model)

model:compile {
   optimizer = optim.Adam { learning_rate = lab.param("learning_rate", 1e-3) },
   loss      = "sparse_categorical_crossentropy",
   metrics   = { "accuracy" },
}
model:fit {
   train, validation_split = 1 / 12, epochs = lab.param("epochs", 5), batch_size = lab.param("batch_size", 32),
   callbacks = { lab.EarlyStopping { monitor = "val_loss", patience = 2 } },
}
print(("test accuracy %.4f"):format(model:evaluate(test).accuracy))

local found, _, mnist = pcall(lab.data.mnist)
if found then print(("on MNIST's test images %.4f"):format(model:evaluate(mnist).accuracy)) end
