-- Trains the two nets that come with Perilune, on drawn digits alone: cnn.safetensors and dense.safetensors.
--
--     perilune run experiments/pretrained/train.lua                       both, into the current folder
--     perilune run experiments/pretrained/train.lua --set net=dense       one of them
--     perilune run experiments/pretrained/train.lua --set judge=true      also says what they are worth on MNIST
--
-- The same program gives the same bytes, whatever the machine and the number of threads: compare the files with those
-- beside this script.  Sizes and rates were chosen by MNIST's training images, never by its test images.
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "pretrained", seed = 1 }

local nets = {
   cnn = function()
      return nn.Sequential {
         nn.Input        { 28, 28, 1 },
         nn.Conv2D       { filters = 16, kernel_size = 5, activation = "relu" },
         nn.MaxPooling2D {},
         nn.Conv2D       { filters = 32, kernel_size = 5, activation = "relu" },
         nn.MaxPooling2D {},
         nn.Flatten      {},
         nn.Dropout      { rate = 0.3 },
         nn.Dense        { units = 64, activation = "relu" },
         nn.Dropout      { rate = 0.3 },
         nn.Dense        { units = 10, activation = "softmax" },
      }
   end,
   dense = function()
      return nn.Sequential {
         nn.Input   { 28, 28, 1 },
         nn.Flatten {},
         nn.Dropout { rate = 0.2 },
         nn.Dense   { units = 92, activation = "relu" },
         nn.Dropout { rate = 0.2 },
         nn.Dense   { units = 10, activation = "softmax" },
      }
   end,
}

local which = lab.param("net", "both")
if which ~= "both" and not nets[which] then error("--set net: cnn, dense or both") end
local digits = lab.data.digits { count = lab.param("count", 100000), seed = 1 }
local judge = lab.param("judge", false) and lab.data.mnist()

for _, name in ipairs { "cnn", "dense" } do
   if which == name or which == "both" then
      local model = nets[name]()
      model:compile {
         optimizer = optim.Adam { learning_rate = lab.schedules.cosine { learning_rate = 2e-3 } },
         loss      = "sparse_categorical_crossentropy",
         metrics   = { "accuracy" },
      }
      model:fit { digits, epochs = lab.param("epochs", 5), batch_size = 64 }
      -- Without the run's name in it, so that the same weights are the same bytes.
      model:save(name .. ".safetensors", { provenance = false })
      print(("%s.safetensors: weights %s"):format(name, model:digest()))
      if judge then print(("%s: %.4f on MNIST's training images"):format(name, model:evaluate(judge).accuracy)) end
   end
end
