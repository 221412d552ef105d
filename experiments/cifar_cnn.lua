-- CIFAR-10: photographs, 32x32 in colour, with batch normalization and weight decay.  About 60 % from one of its five
-- files of 10,000 pictures, and more from all five: whatever batches are there are used.
--
--     perilune run experiments/cifar_cnn.lua
--     perilune run experiments/cifar_cnn.lua --set epochs=2 --set samples=2000
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "cifar-cnn", seed = 42 }

local train, test = lab.data.cifar10()
train = train:take(lab.param("samples", #train))
test = test:take(lab.param("test_samples", #test))

-- Two convolutions at one resolution, then half of it.
local function block(filters)
   return nn.Sequential {
      nn.Conv2D { filters = filters, kernel_size = 3, padding = "same", use_bias = false },
      nn.BatchNormalization {},
      nn.ReLU {},
      nn.Conv2D { filters = filters, kernel_size = 3, padding = "same", use_bias = false },
      nn.BatchNormalization {},
      nn.ReLU {},
      nn.MaxPooling2D {},
      nn.Dropout { rate = 0.2 },
   }
end

local model = nn.Sequential {
   nn.Input { 32, 32, 3 },
   block(16), block(32), block(64),
   nn.GlobalAveragePooling2D {},
   nn.Dense { units = 10, activation = "softmax" },
}
print(model)

model:compile {
   optimizer = optim.AdamW {
      learning_rate = lab.schedules.one_cycle { learning_rate = lab.param("learning_rate", 5e-3) },
      weight_decay = 1e-2,
   },
   loss    = "sparse_categorical_crossentropy",
   metrics = { "accuracy" },
}
model:fit {
   train, validation_split = 1 / 10,
   epochs = lab.param("epochs", 8), batch_size = lab.param("batch_size", 64),
}
print(("test accuracy %.4f"):format(model:evaluate(test).accuracy))
