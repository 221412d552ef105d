-- What is recorded, and how the program ends; scripts run as processes of their own.
local tap = dofile((arg[0]:match "^(.*/)" or "") .. "tap.lua")

local head = [[
local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local set = lab.data.table { inputs = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }, targets = { 0, 1, 1, 0 } }
local function model(rate)
   local m = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 2, activation = "softmax" } }
   return m:compile { optimizer = optim.SGD { learning_rate = rate or 0.1 }, loss = "sparse_categorical_crossentropy",
      metrics = { "accuracy" } }
end
]]

local n = 0
local function run(body, options)
   n = n + 1
   local path = tap.write(("script%d.lua"):format(n), head .. body)
   local database = ("%s/%d.db"):format(tap.folder, n)
   local command = "cd %s && PERILUNE_DB=%d.db env --default-signal=INT %s run %s %s"
   local out, status = tap.shell(command:format(tap.quote(tap.folder), n, tap.quote(tap.program), tap.quote(path),
      options or "--quiet"))
   return {
      out = out, status = status, path = path, database = database,
      query = function(sql) return tap.query(sql, database) end,
   }
end

tap.test("a run is recorded with its parameters and where they came from", function()
   local r = run([[
lab.experiment { name = "study", seed = 9, tags = { "first", "small" }, note = "a note" }
model(lab.param("learning_rate", 0.1)):fit { set, epochs = lab.param("epochs", 3), batch_size = 2 }
]], "--quiet --set learning_rate=0.5")
   tap.equal(r.out, "")
   tap.equal(r.status, 0)
   tap.equal(r.query "select state, seed, epochs_planned, epochs_done from runs", "done|9|3|3")
   tap.equal(r.query "select value, source from params where name = 'learning_rate'", "0.5|command line")
   tap.equal(r.query "select value, source from params where name = 'epochs'", "3|default")
   tap.equal(r.query "select value, source from params where name = 'batch_size'", "2|script")
   tap.equal(r.query "select count(*), min(epoch), max(epoch) from epochs", "3|1|3")
   tap.equal(r.query "select count(*) from epochs where loss is null or accuracy is null or learning_rate <> 0.5", "0")
   tap.equal(r.query "select name from experiments", "study")
   tap.equal(r.query "select exit from launches", "0")
   tap.equal(r.query "select count(*) from tags", "2")
end)

tap.test("a script that trains nothing writes no database", function()
   local r = run "print(model())"
   tap.equal(r.status, 0)
   local _, missing = tap.shell("test -e " .. tap.quote(r.database))
   tap.equal(missing, 1)
end)

tap.test("several fits are several runs of one launch", function()
   local r = run "model():fit { set }\nmodel():fit { set, epochs = 2 }"
   tap.equal(r.query "select group_concat(epochs_done) from runs", "1,2")
   tap.equal(r.query "select count(*) from launches", "1")
end)

tap.test("what evaluate measured is kept with the run", function()
   local r = run "local m = model()\nm:fit { set }\nm:evaluate(set)"
   tap.equal(r.query "select group_concat(name) from (select name from evaluations order by name)", "accuracy,loss")
end)

tap.test("an error in a callback fails the run with message, source and line", function()
   local r = run "model():fit { set, epochs = 3, on_epoch = function(e) if e.epoch == 2 then error 'enough' end end }"
   tap.equal(r.status, 1)
   tap.equal(r.query "select state, epochs_done, message, line from runs", "failed|2|in on_epoch: enough|9")
   tap.check(r.query "select source from runs":find "script%d+%.lua$")
   tap.check(r.query "select message from launches":find "enough")
end)

tap.test("an error that the script catches fails the run and not the launch", function()
   local r = run "print(pcall(model().fit, model(), { set, on_epoch = function() error { code = 1 } end }))"
   tap.equal(r.status, 0)
   tap.equal(r.query "select state from runs", "failed")
   tap.equal(r.query "select exit from launches", "0")
end)

tap.test("an error after a fit leaves the run done", function()
   local r = run "model():fit { set }\nerror 'later'"
   tap.equal(r.status, 1)
   tap.equal(r.query "select state from runs", "done")
   tap.equal(r.query "select exit from launches", "1")
end)

tap.test("os.exit within a callback marks the run interrupted and keeps its status", function()
   local r = run "model():fit { set, epochs = 3, on_epoch = function() os.exit(7) end }"
   tap.equal(r.status, 7)
   tap.equal(r.query "select state from runs", "interrupted")
   tap.equal(r.query "select exit from launches", "7")
end)

tap.test("Ctrl-C finishes the batch, saves, marks the run and exits with 130", function()
   local r = run [[
local process = io.open "/proc/self/stat":read "n"
model():fit { set, epochs = 1000000, on_epoch = function(e)
   if e.epoch == 3 then os.execute(("(sleep 0.1; kill -INT %d) &"):format(process)) end
end }]]
   tap.equal(r.status, 130)
   tap.equal(r.query "select state from runs", "interrupted")
   tap.equal(r.query "select exit from launches", "130")
   tap.check(r.out:find "interrupted in epoch", r.out)
   tap.check(r.out:find("perilune resume 1", 1, true), r.out)
   local kept = r.query "select path from checkpoints limit 1"
   tap.equal(tap.read(r.database .. ".d/" .. kept):sub(9, 9), "{", "a file of weights stands in " .. kept)
end)

tap.test("a parameter takes the type of its default", function()
   local body = "print(lab.param('a', 1), lab.param('b', 0.5), lab.param('c', 'x'), lab.param('d', true))"
   tap.equal(run(body).out, "1\t0.5\tx\ttrue\n")
   tap.equal(run(body, "--set a=2 --set b=3 --set c=4 --set d=false").out, "2\t3.0\t4\tfalse\n")
   tap.check(run(body, "--set a=2.5").out:find("'a' wants an integer", 1, true))
   tap.check(run(body, "--set d=1").out:find("'d' wants true or false", 1, true))
end)

tap.test("a parameter that nothing asked for is an error", function()
   local r = run("lab.param('learning_rate', 1)", "--set learnin_rate=2")
   tap.equal(r.status, 1)
   tap.equal(r.out, "--set learnin_rate: no lab.param asked for 'learnin_rate' (did you mean 'learning_rate'?)\n")
end)

tap.test("the seed of the command line counts, and math.random follows it", function()
   local body = "lab.experiment { seed = 4 }\nprint(lab.seed, math.random(1 << 30), math.random(1 << 30))"
   local a, b, c = run(body).out, run(body).out, run(body, "--seed 5").out
   tap.equal(a, b)
   tap.check(a ~= c)
   tap.equal(c:match "^%d+", "5")
end)

tap.test("arguments reach the script", function()
   tap.equal(run("print(..., arg[1], #arg)", "-- one --two").out, "one\tone\t2\n")
end)

-- MNIST's four files with a few samples each.
local function little_mnist(folder, count)
   tap.shell("mkdir -p " .. tap.quote(folder))
   for _, part in ipairs { "train", "t10k" } do
      local images, labels = {}, {}
      for i = 1, count do
         images[i] = ("\0"):rep(28 * i) .. ("\255"):rep(28) .. ("\0"):rep(28 * (27 - i))
         labels[i] = string.char(i % 10)
      end
      local function file(name, content)
         local f = assert(io.open(("%s/%s-%s"):format(folder, part, name), "wb"))
         f:write(content)
         f:close()
      end
      file("images-idx3-ubyte", string.pack(">I4I4I4I4", 0x803, count, 28, 28) .. table.concat(images))
      file("labels-idx1-ubyte", string.pack(">I4I4", 0x801, count) .. table.concat(labels))
   end
end

tap.test("a note says that validation data are test data", function()
   little_mnist(tap.folder .. "/little", 8)
   local body = [[
local train, test = lab.data.mnist { folder = "little" }
local m = nn.Sequential { nn.Flatten {}, nn.Dense { units = 10, activation = "softmax" } }
m:compile { optimizer = "sgd", loss = "sparse_categorical_crossentropy" }
m:fit { train, validation_data = %s }]]
   tap.check(run(body:format "test", "").out:find("note: validating on test data", 1, true))
   tap.check(not run(body:format "train:take(4)", "").out:find "note:")
end)

tap.test("progress goes to stderr and stays away with --quiet", function()
   local r = run("model():fit { set, epochs = 2 }", "2>/dev/null")
   tap.equal(r.out, "")
   r = run("model():fit { set, epochs = 2 }", "")
   tap.check(r.out:find "epoch +loss  accuracy", r.out)
   tap.check(r.out:find "done: best epoch", r.out)
   tap.check(not r.out:find "\27", "no control codes without a terminal")
end)

tap.test("a database that is none is named", function()
   tap.write("text.db", ("this is no database\n"):rep(100))
   local r = run("model():fit { set }", "--db text.db")
   tap.equal(r.status, 1)
   tap.check(r.out:find "text.db", r.out)
end)

tap.test("the program and a stock interpreter train the same bits", function()
   local body = "local m = model()\nm:fit { set, epochs = 3, verbose = false }\nprint(m:digest())"
   local r = run(body)
   local cpath = os.getenv "PERILUNE_CPATH"
   local preload = tap.sanitizer() and "ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD=" .. tap.quote(tap.sanitizer()) or ""
   local out, status = tap.shell(("cd %s && LUA_CPATH=%s PERILUNE_DB=stock.db %s lua5.4 %s"):format(
      tap.quote(tap.folder), tap.quote(cpath), preload, tap.quote(r.path)))
   tap.equal(status, 0, out)
   tap.equal(out, r.out)
   tap.equal(tap.query("select count(*) from epochs", tap.folder .. "/stock.db"), "3")
end)

tap.done()
