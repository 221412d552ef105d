local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local path = os.tmpname()
local blank = {}
for i = 1, 28 do blank[i] = {} for k = 1, 28 do blank[i][k] = { 0 } end end
lab.data.table { inputs = { blank }, targets = { 0 } }:save_picture(1, path)
local model = nn.Sequential { nn.Input { 28, 28, 1 }, nn.Flatten {}, nn.Dense { units = 10 } }
local ok, why = pcall(model.predict, model, path)
os.remove(path)
print((why:gsub(path, "FILE")))
