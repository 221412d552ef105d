local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local set = lab.data.table { inputs = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }, targets = { 0, 1, 1, 0 } }
local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 2, activation = "softmax" } }
model:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
local other = nn.Sequential { nn.Input { 3 }, nn.Dense { units = 2 } }
local path = os.tmpname()
other:save(path)
local ok, why = pcall(model.load_weights, model, path)
os.remove(path)
print((why:gsub(path, "FILE")))
