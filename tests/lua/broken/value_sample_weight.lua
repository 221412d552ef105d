local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local set = lab.data.table { inputs = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }, targets = { 0, 1, 1, 0 } }
local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 2, activation = "softmax" } }
model:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
model:fit { set, sample_weight = { 1, 2 } }
