-- A small convolutional net on MNIST, a textbook's first: one convolution, one hidden layer, 97.6 % after five epochs.
--
--     perilune run experiments/mnist_cnn.lua
--     perilune run experiments/mnist_cnn.lua --set learning_rate=0.01 --set epochs=3
--     perilune run experiments/mnist_cnn.lua --set data=digits         drawn digits, which need no files
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim

lab.experiment { name = "mnist-cnn", seed = 42, tags = { "baseline" } }

local train, test = lab.data[lab.param("data", "mnist")]()  -- bytes in memory, [0,1] in the batch, labels 0-9
if not test then train, test = train:split(6 / 7) end       -- drawn digits are one set
train = train:take(lab.param("samples", #train))

local model = nn.Sequential {
   nn.Input   { 28, 28, 1 },
   nn.Conv2D  { filters = 10, kernel_size = 3 },
   nn.Flatten {},
   nn.Dense   { units = 128, activation = "relu" },
   nn.Dropout { rate = 0.2 },
   nn.Dense   { units = 10, activation = "softmax" },
}
print(model)                                 -- shapes, parameters, memory, before anything is allocated

model:compile {
   optimizer = optim.Adam { learning_rate = lab.param("learning_rate", 1e-3) },
   loss      = "sparse_categorical_crossentropy",
   metrics   = { "accuracy" },
}
model:fit {
   train, validation_split = 1 / 12,         -- the test images are kept for the end
   epochs = lab.param("epochs", 5), batch_size = lab.param("batch_size", 32),
   callbacks = { lab.EarlyStopping { monitor = "val_loss", patience = 2 } },
}
print(("test accuracy %.4f"):format(model:evaluate(test).accuracy))
model:save "mnist-cnn.safetensors"

test:save_picture(1, "digit.png")            -- a test image as a file, as if somebody had drawn it
print(("digit.png shows a %d (it is a %d)"):format(model:predict("digit.png").class, test:target(1)))
