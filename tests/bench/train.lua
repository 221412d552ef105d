-- Training speed of the nets that Perilune is measured on:
--     perilune run tests/bench/train.lua --set net=cnn --set batch=32 [--set images=60000] [--set epochs=2]
-- Prints images/s of the last epoch.  tests/bench/compare.py runs it beside PyTorch.
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

local net = lab.param("net", "cnn")
local batch = lab.param("batch", 32)
local images = lab.param("images", 60000)
local epochs = lab.param("epochs", 2)
lab.experiment { name = "bench-" .. net, seed = 0 }

local function conv_bn(filters)
   return nn.Conv2D { filters = filters, kernel_size = 3, padding = "same" }, nn.BatchNormalization {}, nn.ReLU {}
end

local nets = {}

function nets.cnn()
   return {
      nn.Conv2D { filters = 10, kernel_size = 3 }, nn.Flatten {}, nn.Dense { units = 128, activation = "relu" },
      nn.Dropout { rate = 0.2 }, nn.Dense { units = 10, activation = "softmax" },
   }
end

function nets.mlp()
   return {
      nn.Flatten {}, nn.Dense { units = 128, activation = "relu" }, nn.Dense { units = 10, activation = "softmax" },
   }
end

nets["two-conv"] = function()
   return {
      nn.Conv2D { filters = 32, kernel_size = 3, activation = "relu" }, nn.MaxPooling2D {},
      nn.Conv2D { filters = 64, kernel_size = 3, activation = "relu" }, nn.MaxPooling2D {},
      nn.Flatten {}, nn.Dropout { rate = 0.5 }, nn.Dense { units = 10, activation = "softmax" },
   }
end

function nets.vgg()
   local list = {}
   local function add(...)
      for _, layer in ipairs { ... } do list[#list + 1] = layer end
   end
   add(conv_bn(32)) add(conv_bn(32)) add(nn.MaxPooling2D {})
   add(conv_bn(64)) add(conv_bn(64)) add(nn.MaxPooling2D {})
   add(nn.Flatten {}, nn.Dense { units = 128, activation = "relu" }, nn.Dropout { rate = 0.5 },
      nn.Dense { units = 10, activation = "softmax" })
   return list
end

local build = nets[net] or error("no net of the name " .. net)
local model = nn.Sequential { nn.Input { 28, 28, 1 }, table.unpack(build()) }
model:compile { optimizer = optim.Adam {}, loss = "sparse_categorical_crossentropy" }

local train, test = lab.data.mnist()
local rate
model:fit {
   train:take(images), epochs = epochs, batch_size = batch, verbose = false,
   on_epoch = function(e) rate = e.images_per_second end,
}
model:compile { optimizer = optim.Adam {}, loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
print(("%s batch=%d images_per_s=%.0f test_accuracy=%.4f"):format(net, batch, rate, model:evaluate(test).accuracy))
