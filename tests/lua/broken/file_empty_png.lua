local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local path = os.tmpname()
local model = nn.Sequential { nn.Input { 28, 28, 1 }, nn.Flatten {}, nn.Dense { units = 10 } }
local ok, why = pcall(model.predict, model, path)
os.remove(path)
print((why:gsub(path, "FILE")))
