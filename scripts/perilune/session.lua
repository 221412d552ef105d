--- The session: what a script says of its experiment, its parameters, and the recording of its runs.
--
-- The database is opened by the first fit, so that a script that trains nothing writes nothing.

local core, load = ...
local options = load "options"
local text = load "text"

local session = {}

local settings = core.settings()
local experiment = { seed = 0, tags = {} }
local params, asked = {}, {}  -- in the order asked; by name
local overrides = {}          -- from --set: name -> text
local fits = 0                -- of this launch
local active                  -- the run being recorded, or nil

for _, set in ipairs(settings.sets) do
   local name, value = set:match "^([^=]*)=(.*)$"
   overrides[name or set] = value or ""
end

------------------------------------------------------------------------------------------------ experiment

local function basename(path)
   return (path:match "([^/]*)$":gsub("%.lua$", ""))
end

-- The script's path: the program's, or what a stock interpreter has in `arg`.
function session.script()
   local global = rawget(_G, "arg")
   return settings.script or (type(global) == "table" and type(global[0]) == "string" and global[0]) or nil
end

--- lab.experiment { name =, seed =, tags = { … }, note = }.
function session.experiment(given)
   local o = options.read("experiment", given, {
      { "string" },
      name = { "string" },
      seed = { "integer", min = 0 },
      tags = { "list", default = {} },
      note = { "string" },
   })
   for i, tag in ipairs(o.tags) do
      if type(tag) ~= "string" or tag == "" then
         text.fail("experiment: tag %d must be a word, got %s", i, text.show(tag))
      end
   end
   experiment = { name = o.name or o[1], seed = o.seed or 0, tags = o.tags, note = o.note }
   session.seed_lua()
end

function session.name()
   local script = session.script()
   return experiment.name or (script and basename(script)) or "default"
end

--- The seed in force: the command line's, else the script's, else 0.
function session.seed()
   return settings.seed or experiment.seed
end

--- math.random follows the seed, so that a script that draws numbers repeats.
function session.seed_lua()
   math.randomseed(core.lua_seed(session.seed()))
end

------------------------------------------------------------------------------------------------ parameters

local kinds = { integer = "an integer", float = "a number", boolean = "true or false", string = "a text" }

local function kind_of(value)
   return math.type(value) or type(value)
end

-- The text of --set as a value of the default's type.
local function convert(name, given, default)
   local kind = kind_of(default)
   local number = core.parse(given)
   if kind == "string" then return given end
   if kind == "integer" and math.type(number) == "integer" then return number end
   if kind == "float" and number then return number + 0.0 end
   if (kind == "boolean" or kind == "nil") and (given == "true" or given == "false") then return given == "true" end
   if kind == "nil" then return number or given end
   return text.fail("--set %s=%s: '%s' wants %s, as its default %s", name, given, name, kinds[kind] or kind,
      text.show(default))
end

--- A parameter of the experiment: its default, unless --set NAME=VALUE says otherwise.  Recorded with where it came
-- from.
function session.param(name, default)
   if type(name) ~= "string" or name == "" then text.fail("param wants a name, got %s", text.show(name)) end
   if default ~= nil and not kinds[kind_of(default)] then
      text.fail("param '%s': the default must be a number, a text or a boolean, got %s", name, text.show(default))
   end
   if default ~= default then text.fail("param '%s': the default is not a number (NaN)", name) end
   local value, source = default, "default"
   if overrides[name] then value, source = convert(name, overrides[name], default), "command line" end
   if value == nil then
      text.fail("param '%s' has no default; give it with --set %s=VALUE", name, name)
   end
   if not asked[name] then
      asked[name] = { name = name, value = value, source = source }
      params[#params + 1] = asked[name]
   end
   asked[name].value = value
   return value
end

-- A name that --set gave and nothing asked for.
local function unasked()
   for _, name in ipairs(text.keys(overrides)) do
      if not asked[name] then
         local names = text.keys(asked)
         local near = core.nearest(name, names)
         return name, near and (" (did you mean '%s'?)"):format(near)
            or names[1] and ("; the script asks for %s"):format(table.concat(names, ", "))
            or "; the script asks for none"
      end
   end
end

--- At the end of the script.
function session.finish()
   if session.launched() then session.record_modules() end
   local name, hint = unasked()
   if name then error(("--set %s: no lab.param asked for '%s'%s"):format(name, name, hint), 0) end
end

------------------------------------------------------------------------------------------------ launch

local function read_file(path)
   local file = path and io.open(path, "rb")
   if not file then return nil end
   local all = file:read "a"
   file:close()
   return all
end

-- Lua files that the script has required since this was asked last: what a replay needs besides the script.
local looked = {
   _G = true, coroutine = true, debug = true, io = true, math = true, os = true, package = true, perilune = true,
   string = true, table = true, utf8 = true,
}
local function modules()
   local list = {}
   local recorded = core.replay() and core.replay().modules or {}
   for _, name in ipairs(text.keys(package.loaded)) do
      if type(name) == "string" and not looked[name] then
         looked[name] = true
         local path = not recorded[name] and package.searchpath(name, package.path)
         local content = recorded[name] or path and read_file(path)
         if content then list[#list + 1] = { name = name, text = content } end
      end
   end
   return list
end

local function arguments()
   if settings.script then return settings.args end
   local list = {}
   for i, word in ipairs(rawget(_G, "arg") or {}) do list[i] = tostring(word) end
   return list
end

local launched
local function launch()
   if launched then
      for _, module in ipairs(modules()) do core.launch_module(module.name, module.text) end
      return
   end
   local script, recorded = session.script(), core.replay()
   core.launch {
      name = script or "(none)", text = recorded and recorded.text or read_file(script), args = arguments(),
      modules = modules(),
   }
   launched = true
end

local function command(line)
   local pipe = io.popen(line .. " 2>/dev/null")
   local out = pipe and pipe:read "a"
   return pipe and pipe:close() and out or nil
end

function session.launched() return launched end
session.record_modules = launch

-- Asked for after training has begun: two processes cost more than the first epoch of a small net.
local git_done
local function record_git()
   if git_done then return end
   git_done = true
   local commit = command "git rev-parse HEAD"
   if commit and commit:match "^%x+" then
      core.launch_git(commit:match "^%x+", command "git diff HEAD")
   end
end

--- What the store has to say (a merged spill, a locked file) goes to stderr.
local function notices()
   for _ = 1, 10 do
      local line = core.notice()
      if not line then return end
      session.say(line)
   end
end

------------------------------------------------------------------------------------------------ runs

local Run = {}
Run.__index = Run

-- Larger is better for these; for everything else (losses, errors) smaller is.
local function goal_of(name)
   for _, word in ipairs { "acc", "auc", "precision", "recall", "f1", "top_k" } do
      if name:find(word, 1, true) then return "max" end
   end
   return "min"
end
session.goal_of = goal_of

-- What a run is judged by: the first metric on validation data where there is one, else the loss.
local function score_of(metrics, validated)
   local name = metrics[1] and goal_of(metrics[1]) == "max" and metrics[1] or "loss"
   return validated and "val_" .. name or name
end

local function shape_text(set) return text.shape(set.shape) end

--- Opens the database; returns the number of the next fit of this launch.
function session.next_fit()
   launch()
   fits = fits + 1
   return fits
end

--- Begins a run: `r` is what a fit is asked for (see fit.lua), with its ordinal and fingerprint.  With r.past, a run
-- that is recorded already, nothing is written until go_on; nothing at all when it is over.
function session.begin(r)
   local metrics = r.recipe:metrics()
   local score = score_of(metrics, r.validation ~= nil)
   local self = setmetatable({ request = r, score_name = score, goal = goal_of(score), epochs_done = 0 }, Run)
   if r.past then
      self.finished = true -- so far nobody records it
      if r.over then self.recording = core.revisit(r.past.id) end
      return self
   end
   self.recording = core.recording {
      experiment = session.name(), ordinal = r.ordinal, seed = r.seed, batch_size = r.batch_size, epochs = r.epochs,
      parameters = (r.handle:count()), model = r.handle:json(), score_name = score, score_goal = self.goal,
      fingerprint = r.fingerprint,
   }
   for _, p in ipairs(session.params_of(r)) do self.recording:param(p.name, p.value, p.source) end
   for _, tag in ipairs(experiment.tags) do self.recording:tag(tag) end
   if experiment.note then self.recording:event("note", experiment.note) end
   if r.unknown then self:say_unknown(r.unknown) end
   active = self
   core.flush(0)
   notices()
   return self
end

-- Without fingerprint: said once, and kept.
function Run:say_unknown(why)
   local line = ("this run has no fingerprint, so that it is never taken from the database: %s"):format(why)
   session.say("note: " .. line)
   self.recording:event("no fingerprint", line)
end

--- Records a run that was interrupted or lost again, under its number.
function Run:go_on(message)
   self.recording, self.finished = core.resume_recording(self.request.past.id, message), false
   active = self
   notices()
end

--- Why it cannot be repeated bit by bit.
function Run:inexact(why) self.recording:inexact(why) end

--- What makes two runs differ: { name =, value =, source = } …; asked parameters first.
function session.params_of(r)
   local list, seen = {}, {}
   local function record(name, value, source)
      if seen[name] or value == nil then return end
      seen[name] = true
      list[#list + 1] = { name = name, value = value, source = source }
   end
   for _, p in ipairs(params) do record(p.name, p.value, p.source) end
   local optimizer, its_options, loss = r.recipe:settings()
   record("optimizer", optimizer, "script")
   record("loss", loss, "script")
   record("batch_size", r.batch_size, r.given.batch_size and "script" or "default")
   record("epochs", r.epochs, r.given.epochs and "script" or "default")
   for _, name in ipairs(text.keys(its_options)) do
      record(name, its_options[name], r.optimizer.options[name] ~= nil and "script" or "default")
   end
   return list
end

--- What is slow to find out, after the first epoch: hashes of plugins and data, git.
function Run:record_provenance()
   if self.provenance then return end
   self.provenance = true
   local r = self.request
   self.recording:plugins(r.handle, r.recipe)
   for role, set in pairs { train = r.train, validation = r.validation } do
      self.recording:dataset(role, {
         name = set.part ~= "" and set.name .. " " .. set.part or set.name, digest = set.handle:digest(),
         samples = #set, classes = set.nclasses, shape = shape_text(set),
      })
   end
   record_git()
end

local function better(goal, a, b)
   if goal == "max" then return a > b end
   return a < b
end

local not_columns = {
   kind = true, epoch = true, epochs = true, batch = true, batches = true, validating = true, step = true,
}

-- Is this epoch better than those before?
function Run:judge(e)
   local score = e[self.score_name]
   if score and score == score and (not self.best or better(self.goal, score, self.best)) then
      self.best, self.best_epoch = score, e.epoch
   end
end

-- An epoch that was computed again, after a resume: its row must be the same.
function Run:compare(row, e)
   local replay = load "replay"
   local what = replay.differs(row, e)
   if not what then return true end
   if not self.compared then
      self.compared = true
      local why = ("epoch %d, computed again, differs from its row: %s"):format(e.epoch, what)
      session.say("note: " .. why)
      self:inexact(why)
   end
   return false
end

--- Records a finished epoch.
function Run:epoch(e)
   self:judge(e)
   local past = self.request.past and self.request.past.epochs[e.epoch]
   if not (past and self:compare(past, e)) then self:record_epoch(e) end
   self.epochs_done = self.epochs_done + 1
   core.flush(0)
   self:record_provenance()
   notices()
end

function Run:record_epoch(e)
   local row = {}
   for name, value in pairs(e) do
      if type(value) == "number" and not not_columns[name] then row[name] = value end
   end
   self.recording:epoch(e.epoch, row, self.best_epoch, self.best)
end

--- An epoch that a checkpoint remembers; recorded unless its row is there.
function Run:restored(e)
   self:judge(e)
   if not self.request.past.epochs[e.epoch] then self:record_epoch(e) end
   self.epochs_done = self.epochs_done + 1
end

--- The run's number; 0 while the database is held by somebody else.
function Run:id() return self.recording and self.recording:id() or self.request.past.id end
function Run:uuid() return self.recording and self.recording:uuid() or self.request.past.uuid end
function Run:folder() return core.run_folder(self:uuid()) end
function Run:stop_requested() return self.recording:stop_requested() end

--- A file in the run's folder; `write(path)` makes it.
function Run:save(name, kind, epoch, write)
   write(self:folder() .. "/" .. name)
   self.recording:file("checkpoint", name, kind, epoch)
end

--- Ends the run: state is "done", "failed" or "interrupted".  A second call does nothing.  Returns whether it is
-- committed.
function Run:finish(state, more)
   if self.finished then return true end
   self.finished = true
   if active == self then active = nil end
   local last = { state = state, best_epoch = self.best_epoch, score = self.best }
   for name, value in pairs(more or {}) do last[name] = value end
   self.recording:finish(last)
   local committed = core.flush(2000)
   notices()
   return committed
end

--- Leaving fit by an error (or by os.exit, or a coroutine that was given up): the run says so.
Run.__close = function(self, err)
   if self.finished then return end
   local failure = self.failure or {}
   if err == nil then
      return self:finish("interrupted", { message = "the script ended within fit" })
   end
   local source, line, message
   if type(err) == "string" then source, line, message = core.place(err) end
   self:finish(core.interrupted() and "interrupted" or "failed", {
      message = failure.message or message or (type(err) == "string" and err or text.show(err)),
      source = failure.source or source, line = failure.line or line,
   })
end

--- Records what evaluate measured, under the model's last run.
function session.evaluated(run, set, values)
   if not run then return end
   local label = set.part ~= "" and set.name .. " " .. set.part or set.name
   for _, name in ipairs(text.keys(values)) do
      run.recording:evaluation(label, set.handle:digest(), name, values[name])
   end
   core.flush(0)
   notices()
end

--- A file that the script wrote; nothing to record yet when there is no run.
function session.saved(path)
   if active then active.recording:event("saved", path) end
end

------------------------------------------------------------------------------------------------ words

--- A line on stderr, between progress lines.
function session.say(line)
   load "progress".say(line)
end

--- lab.log(…): a line on stderr, kept with the run that is being recorded.
function session.log(...)
   local words = table.pack(...)
   for i = 1, words.n do words[i] = tostring(words[i]) end
   local line = table.concat(words, " ")
   session.say(line)
   if active then active.recording:log("script", line .. "\n") end
end

--- At a run's start: what --set named and nothing has asked for so far.
function session.warn_unasked()
   local name, hint = unasked()
   if name then
      load "progress".warn(("note: no lab.param has asked for --set %s so far%s"):format(name, hint))
   end
end

return session
