-- The identity of functions, and plain data as bytes: what fingerprints and checkpoints rest on.
local lab = require "perilune"
local tap = dofile((arg[0]:match "^(.*/)" or "") .. "tap.lua")

-- The library's own parts: `load` is an upvalue of the module's __index.
local function part(name)
   local index = getmetatable(lab).__index
   for i = 1, 60 do
      local upvalue, value = debug.getupvalue(index, i)
      if upvalue == "load" then return value(name) end
   end
end
local hash, plain = part "hash", part "plain"

-- A chunk's result: each time a new function, from a text.
local function make(source, ...)
   return assert(load(source, "=script", "t"))(...)
end

local function id(value)
   return assert(hash.value(value, "on_epoch"))
end

local function why(value)
   local hex, reason = hash.value(value, "on_epoch")
   tap.equal(hex, nil)
   return reason
end

local function same(a, b, ...) tap.equal(id(make(a, ...)), id(make(b, ...))) end
local function differ(a, b, ...) tap.check(id(make(a, ...)) ~= id(make(b, ...)), "the same hash") end

tap.test("comments, lines and names of variables do not count", function()
   same("return function(e) return e.loss < 0.5 end",
      "-- a comment\n\n\nreturn function(event)\n   -- another\n   return event.loss < 0.5\nend")
   same("local limit = 1; return function(e) return function() return e + limit end end",
      "\n\nlocal most = 1\nreturn function(e)\n\n return function()\n return e + most end end")
end)

tap.test("what a function does counts, in nested functions too", function()
   differ("return function(e) return e.loss < 0.5 end", "return function(e) return e.loss < 0.6 end")
   differ("return function(e) return e.loss < 0.5 end", "return function(e) return e.loss <= 0.5 end")
   differ("return function(e) return e.loss end", "return function(e) return e.accuracy end")
   differ("return function(e) return 1 end", "return function(e) return 1.0 end")
   differ("return function(e) return function() return 1 end end",
      "return function(e) return function() return 2 end end")
   differ("return function(...) return ... end", "return function(a) return a end")
end)

tap.test("values of upvalues count, whatever they are", function()
   local source = "local x = ...; return function() return x end"
   local different = {
      nil, true, false, 1, 1.0, -0.0, 0.0, "1", "", 0 / 0, math.huge, { 1 }, { 1.0 }, { a = 1 }, { { 1 } },
      { [true] = 1 },
      function() return 1 end, function() return 2 end, math.sin, math.cos, io.stderr, string, lab, lab.data,
      setmetatable({}, { __index = function() return 3 end }), setmetatable({}, { __index = function() return 4 end }),
   }
   local seen = {}
   for i = 1, 26 do
      local hex = id(make(source, different[i]))
      tap.check(not seen[hex], ("values %d and %s have one hash"):format(i, seen[hex]))
      seen[hex] = i
   end
   tap.equal(id(make(source, { a = 1, b = { 2, 3 } })), id(make(source, { b = { 2, 3 }, a = 1 })))
end)

tap.test("upvalues of upvalues count", function()
   local source = "local x = ...; local function f() return x end; return function() return f() end"
   tap.check(id(make(source, 1)) ~= id(make(source, 2)))
   tap.equal(id(make(source, 1)), id(make(source, 1)))
end)

tap.test("globals count when they are reached, and only then", function()
   rawset(_G, "reached", 1)
   rawset(_G, "elsewhere", 1)
   local f = make "return function() return reached end"
   local nested = make "return function() return function() return reached end end"
   local g = make "local function helper() return reached end; return function() return helper() end"
   local before = { id(f), id(nested), id(g) }
   rawset(_G, "elsewhere", 2)
   tap.equal(id(f), before[1])
   rawset(_G, "reached", 2)
   tap.check(id(f) ~= before[1] and id(nested) ~= before[2] and id(g) ~= before[3], "the same hash")
   rawset(_G, "reached", function() return 1 end)
   local one = id(f)
   rawset(_G, "reached", function() return 2 end)
   tap.check(id(f) ~= one)
   rawset(_G, "reached", nil)
   rawset(_G, "elsewhere", nil)
end)

tap.test("tables and functions that reach themselves are hashed", function()
   same("local t = {}; t.me = t; return function() return t end",
      "local t = {}; t.me = t\n return function() return t end")
   same("local f; f = function(n) return n > 0 and f(n - 1) end; return f",
      "local g\ng = function(n) return n > 0 and g(n - 1) end\nreturn g")
   differ("local a, b = {}, {}; a.x, b.x = b, a; return function() return a end",
      "local a, b = {}, {}; a.x, b.x = a, b; return function() return a end")
end)

tap.test("what cannot be hashed is named, with the place", function()
   local file <close> = io.open(tap.folder .. "/some.txt", "w")
   tap.equal(why(make("local log = ...; return function() log:write 'x' end", file)),
      "upvalue 'log' of on_epoch is a file")
   tap.equal(why(make("local t = ...; return function() return t end", { deep = { file } })),
      "upvalue 't' of on_epoch.deep[1] is a file")
   tap.equal(why(make "local co = coroutine.create(print); return function() return co end"),
      "upvalue 'co' of on_epoch is a coroutine")
   tap.equal(why(make("local f = ...; return function() return f end", ("x"):gmatch "x")),
      "upvalue 'f' of on_epoch is a C function that is not known")
   tap.equal(why(make "return function(name) return _G[name] end"),
      "global '_G' of on_epoch is the table of all globals")
   tap.equal(why(make "return function(name) return _ENV[name] end"),
      "on_epoch uses the table of all globals as a value")
   tap.equal(why(make "local t = { [{}] = 1 }; return function() return t end"),
      "upvalue 't' of on_epoch has keys that are no text, number or boolean")
   rawset(_G, "handle", file)
   tap.equal(why(make "return function() return handle end"), "global 'handle' of on_epoch is a file")
   rawset(_G, "handle", nil)
end)

tap.test("data sets and models count by their contents", function()
   local source = "local x = ...; return function() return x end"
   local function set(v) return lab.data.table { inputs = { { 1, 2 }, { 3, v } }, targets = { 0, 1 } } end
   tap.equal(id(make(source, set(4))), id(make(source, set(4))))
   tap.check(id(make(source, set(4))) ~= id(make(source, set(5))))
   local function model(units)
      return lab.nn.Sequential { lab.nn.Input { 2 }, lab.nn.Dense { units = units } }
   end
   tap.equal(id(make(source, model(3))), id(make(source, model(3))))
   tap.check(id(make(source, model(3))) ~= id(make(source, model(4))))
end)

tap.test("callbacks and schedules count by their options, not by their lines", function()
   local one = lab.EarlyStopping { patience = 2 }
   local other = lab.EarlyStopping { patience = 2 }
   tap.equal(id(one), id(other))
   tap.check(id(one) ~= id(lab.EarlyStopping { patience = 3 }))
   tap.check(id(one) ~= id(lab.ReduceLROnPlateau { patience = 2 }))
   local function cosine(rate) return lab.schedules.cosine { learning_rate = rate } end
   tap.equal(id(cosine(0.1)), id(lab.schedules.cosine { learning_rate = 0.1 }))
   tap.check(id(cosine(0.1)) ~= id(cosine(0.2)))
   tap.check(id(cosine(0.1)) ~= id(lab.schedules.exponential { learning_rate = 0.1 }))
   local function own(limit)
      return { name = "own", on_epoch_end = function(_, e, fit) if e.loss < limit then fit:stop() end end }
   end
   tap.equal(id(own(1)), id(own(1)))
   tap.check(id(own(1)) ~= id(own(2)))
   local function defined(limit)
      return lab.callbacks.define { name = "Own", on_epoch_end = function(_, e) return e.loss < limit end } {}
   end
   tap.equal(id(defined(1)), id(defined(1)))
   tap.check(id(defined(1)) ~= id(defined(2)))
end)

local function fingerprint(comment, options)
   local source = ("local lab, options = ...\n%slocal nn = lab.nn\n"):format(comment) .. [[
      local set = lab.data.table { inputs = { { 0, 1 }, { 1, 0 }, { 1, 1 }, { 0, 0 } }, targets = { 1, 1, 0, 0 } }
      local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = options.units or 2, activation = "softmax" } }
      model:compile { optimizer = lab.optim.SGD { learning_rate = options.rate or 0.1 },
         loss = "sparse_categorical_crossentropy" }
      local limit = options.limit or 1
      local h = model:fit { set, epochs = options.epochs or 1, verbose = false,
         on_epoch = function(e) return e.loss > limit end }
      return h.run]]
   local run = assert(load(source, "=script", "t"))(lab, options or {})
   local db = assert(io.popen(("sqlite3 %s 'select fingerprint from runs where id = %d'"):format(
      tap.quote(os.getenv "PERILUNE_DB"), run)))
   local hex = db:read "l"
   db:close()
   return hex
end

tap.test("a run's fingerprint follows from what it computes", function()
   local plain_one = fingerprint ""
   tap.equal(#plain_one, 64)
   tap.equal(fingerprint "-- a comment\n\n", plain_one)
   for _, other in ipairs { { units = 3 }, { rate = 0.2 }, { limit = 2 }, { epochs = 2 } } do
      tap.check(fingerprint("", other) ~= plain_one, "the same fingerprint")
   end
end)

tap.test("plain data come back as they were", function()
   local data = {
      1, 2.5, -0.0, math.mininteger, math.huge, "", "\0\255 text", true, false, { { {} } }, [100] = "far",
      name = { x = 1 }, [1.5] = "half", [true] = 1,
   }
   local function equal(a, b, path)
      if type(a) ~= "table" then
         tap.check(math.type(a) == math.type(b) and a == b, path .. " differs")
         return tap.equal(a, b, path)
      end
      for k, v in pairs(a) do equal(v, b[k], path .. "." .. tostring(k)) end
      for k in pairs(b) do tap.check(a[k] ~= nil, path .. " has more") end
   end
   equal(data, plain.decode(assert(plain.encode(data))), "data")
   local zero = plain.decode(plain.encode(-0.0))
   tap.equal(1 / zero, -math.huge)
   local nan = plain.decode(plain.encode(0 / 0))
   tap.check(nan ~= nan)
   tap.equal(plain.decode(plain.encode(nil)), nil)
end)

tap.test("what is not plain is named, with the place", function()
   local function reason(value)
      local bytes, text = plain.encode(value, "state")
      tap.equal(bytes, nil)
      return text
   end
   tap.equal(reason { file = io.stderr }, "state.file is a file")
   tap.equal(reason { a = { print } }, "state.a[1] is a function")
   tap.equal(reason(setmetatable({}, {})), "state is a table")
   tap.equal(reason { [{}] = 1 }, "state has a table as a key")
   local loop = {}
   loop.loop = loop
   tap.equal(reason(loop), "state.loop holds itself")
   local deep = {}
   for _ = 1, 200 do deep = { deep } end
   tap.check(reason(deep):find "nested too deeply")
end)

tap.test("damaged bytes are an error, not a crash", function()
   local bytes = plain.encode { a = { 1, 2, "three" } }
   for n = 0, #bytes - 1 do tap.check(not pcall(plain.decode, bytes:sub(1, n))) end
   tap.check(not pcall(plain.decode, ("{"):rep(100000)))
end)

tap.done()
