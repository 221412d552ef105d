-- Models: building, looking, weights, files.
local before = {}
for name in pairs(_G) do before[name] = true end
local lab = require "perilune"
local added = {}
for name in pairs(_G) do
   if not before[name] then added[#added + 1] = name end
end

local tap = dofile((arg[0]:match "^(.*/)" or "") .. "tap.lua")
local nn = lab.nn

local function cnn()
   return nn.Sequential {
      nn.Input { 28, 28, 1 },
      nn.Conv2D { filters = 10, kernel_size = 3 },
      nn.Flatten {},
      nn.Dense { units = 128, activation = "relu" },
      nn.Dropout { rate = 0.2 },
      nn.Dense { units = 10, activation = "softmax" },
   }
end

tap.test("no global is set", function() tap.equal(table.concat(added, " "), "") end)

tap.test("the summary shows shapes, parameters and memory", function()
   local s = tostring(cnn())
   local parts = { "(None, 26, 26, 10)", "865,408", "866,798 parameters (3.31 MB)", "training at batch 32 takes" }
   for _, part in ipairs(parts) do
      tap.check(s:find(part, 1, true), part .. " is missing in\n" .. s)
   end
   tap.check(not s:find "Connected", "a chain needs no column of connections")
end)

tap.test("a graph's summary says what is connected", function()
   local x = nn.Input { 4 }
   local a, b = nn.Dense { units = 3 }(x), nn.Dense { units = 3, activation = "relu" }(x)
   local model = nn.Model { inputs = x, outputs = nn.Add {} { a, b } }
   local s = tostring(model)
   tap.check(s:find "Connected to" and s:find("dense, dense_1", 1, true), s)
end)

tap.test("a layer used twice has one set of weights", function()
   local a, b, shared = nn.Input { 4 }, nn.Input { 4 }, nn.Dense { units = 3 }
   local model = nn.Model { inputs = { a, b }, outputs = nn.Concatenate {} { shared(a), shared(b) } }
   tap.equal(model:count_params(), 15)
   local y = model:forward { { 1, 2, 3, 4 }, { 1, 2, 3, 4 } }
   tap.equal(#y, 6)
   for i = 1, 3 do tap.equal(y[i], y[i + 3]) end
end)

tap.test("a Sequential without Input is built by its data", function()
   local set = lab.data.table { inputs = { { 1, 2 }, { 3, 4 } }, targets = { 0, 1 } }
   local model = nn.Sequential { nn.Dense { units = 2 } }
   tap.check(tostring(model):find "shapes are known once it sees data")
   tap.equal(#model:predict(set), 2)
   tap.equal(model:count_params(), 6)
end)

tap.test("add is the same as listing", function()
   local model = nn.Sequential { nn.Input { 5 } }
   model:add(nn.Dense { units = 4 }):add(nn.Dense { units = 3 })
   local listed = nn.Sequential { nn.Input { 5 }, nn.Dense { units = 4 }, nn.Dense { units = 3 } }
   tap.equal(model:digest(), listed:digest())
   local looked_at = nn.Sequential { nn.Input { 5 }, nn.Dense { units = 4 } }
   print("# " .. tostring(looked_at):gsub("\n", "\n# "))
   looked_at:add(nn.Dense { units = 3 })
   tap.equal(looked_at:digest(), listed:digest())
end)

tap.test("Sequentials nest, and apply to values", function()
   local block = nn.Sequential { nn.Dense { units = 4 }, nn.Dense { units = 3 } }
   local x = nn.Input { 5 }
   tap.equal(nn.Model { inputs = x, outputs = block(x) }:count_params(), 39)
   local inner = nn.Sequential { nn.Dense { units = 4 } }
   tap.equal(nn.Sequential { nn.Input { 5 }, inner, nn.Dense { units = 3 } }:count_params(), 39)
end)

tap.test("an activation is a layer, by name, by macro, by option", function()
   local a = nn.Sequential { nn.Input { 3 }, nn.Dense { units = 3, activation = "relu", name = "d" } }
   local b = nn.Sequential { nn.Input { 3 }, nn.Dense { units = 3, name = "d" }, nn.relu {} }
   local c = nn.Sequential { nn.Input { 3 }, nn.Dense { units = 3, name = "d" }, nn.Activation { activation = "relu" } }
   local x = { 0.5, -2, 1 }
   for i = 1, 3 do
      tap.equal(a:forward(x)[i], b:forward(x)[i])
      tap.equal(a:forward(x)[i], c:forward(x)[i])
   end
end)

tap.test("weights are read and written as nested tables", function()
   local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 3 } }
   model:weights("dense/kernel", { { 1, 2, 3 }, { 4, 5, 6 } })
   model:weights("dense/bias", { 0.5, 0, -0.5 })
   tap.equal(model:weights "dense/kernel"[2][3], 6.0)
   local y = model:forward { 1, 10 }
   tap.equal(y[1], 41.5)
   tap.equal(y[2], 52.0)
   tap.equal(y[3], 62.5)
   tap.fails("wants a table of 3 entries", model.weights, model, "dense/kernel", { { 1, 2, 3 }, { 4, 5 } })
   tap.equal(model:weights "dense/kernel"[1][1], 1.0, "a refused write changes nothing")
   local p = model:parameters()
   tap.equal(p[1].name, "dense/kernel")
   tap.equal(table.concat(p[1].shape, "x"), "2x3")
end)

tap.test("a saved model comes back with the same bits", function()
   local path = tap.folder .. "/cnn.safetensors"
   local model = cnn()
   model:save(path)
   local again = nn.load(path)
   tap.equal(again:digest(), model:digest())
   tap.equal(again:count_params(), 866798)
   local other = cnn()
   other:weights("dense_1/bias", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 })
   tap.check(other:digest() ~= model:digest())
   other:load_weights(path)
   tap.equal(other:digest(), model:digest())
end)

tap.test("frozen layers are counted apart", function()
   local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 3, trainable = false }, nn.Dense { units = 1 } }
   local all, trainable = model:count_params()
   tap.equal(all, 13)
   tap.equal(trainable, 4)
   tap.check(tostring(model):find("4 trainable, 9 not", 1, true), tostring(model))
end)

tap.test("an error found while building leaves no half-made model behind", function()
   local model = nn.Sequential { nn.Input { 8, 8, 1 } }
   tap.fails("does not fit", function() model:add(nn.Conv2D { filters = 1, kernel_size = 9 }) end)
   model:add(nn.Flatten {})
   tap.equal(#model:forward(require "perilune".data.digits { count = 1 }:take(0)), 0)
end)

tap.test("models of a loop do not pile up", function()
   collectgarbage()
   local function resident()
      local pages = tap.read "/proc/self/statm":match "^%d+ (%d+)"
      return tonumber(pages) * 4 // 1024
   end
   local first
   for i = 1, 10000 do
      local model = nn.Sequential {
         nn.Input { 64 }, nn.Dense { units = 256, activation = "relu" }, nn.Dense { units = 10 },
      }
      if i % 10 == 0 then model:digest() end
      if i == 500 then first = resident() end
   end
   tap.check(tap.sanitizer() or resident() < first + 100, ("from %d MB to %d MB"):format(first, resident()))
end)

tap.done()
