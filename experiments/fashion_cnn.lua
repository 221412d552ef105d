-- Fashion-MNIST with a small convolutional net: about 90 % after four epochs, and where it errs.
--
--     perilune run experiments/fashion_cnn.lua
--     perilune run experiments/fashion_cnn.lua --set samples=10000 --set epochs=2
--     perilune run experiments/fashion_cnn.lua --set data=mnist        the same net on digits (or data=digits, drawn)
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "fashion-cnn", seed = 42 }

local train, test = lab.data[lab.param("data", "fashion_mnist")]()
if not test then train, test = train:split(6 / 7) end        -- drawn digits are one set
train = train:take(lab.param("samples", #train))

local model = nn.Sequential {
   nn.Input        { 28, 28, 1 },
   nn.Conv2D       { filters = 16, kernel_size = 3, padding = "same", activation = "relu" },
   nn.MaxPooling2D {},
   nn.Conv2D       { filters = 32, kernel_size = 3, activation = "relu" },
   nn.MaxPooling2D {},
   nn.Flatten      {},
   nn.Dropout      { rate = 0.3 },
   nn.Dense        { units = 64, activation = "relu" },
   nn.Dense        { units = 10, activation = "softmax" },
}
print(model)

model:compile {
   optimizer = optim.Adam { learning_rate = lab.param("learning_rate", 1e-3) },
   loss      = "sparse_categorical_crossentropy",
   metrics   = { "accuracy" },
}
model:fit {
   train, validation_split = 1 / 12,
   epochs = lab.param("epochs", 4), batch_size = lab.param("batch_size", 64),
   callbacks = { lab.EarlyStopping { monitor = "val_loss", patience = 2, restore_best_weights = true } },
}
print(("test accuracy %.4f"):format(model:evaluate(test).accuracy))

-- The commonest mistake for each class, over the test images.
local counts = {}
for i, answer in ipairs(model:predict(test)) do
   local truth = test:target(i)
   counts[truth] = counts[truth] or {}
   counts[truth][answer.class] = (counts[truth][answer.class] or 0) + 1
end
for class, name in ipairs(test.classes) do
   local row, all, worst, most = counts[class - 1] or {}, 0, nil, 0
   for other = 0, 9 do
      local n = row[other] or 0
      all = all + n
      if other ~= class - 1 and n > most then worst, most = other, n end
   end
   if all > 0 then
      local mistake = worst and ("; %4.1f %% are taken for %s"):format(100 * most / all, test.classes[worst + 1]) or ""
      print(("%-12s %5.1f %% right%s"):format(name, 100 * (row[class - 1] or 0) / all, mistake))
   end
end
