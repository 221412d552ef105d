--- Replay: what a fit does with what was recorded of it.
--
-- `perilune resume` executes a launch's script again.  The n-th fit of the script is the n-th run that the launches
-- of this chain recorded.  One that is done gives back its history and weights; one that was interrupted or lost goes
-- on in its own row; what was never begun is a new run.  Before, its fingerprint must be the recorded one.

local core, load = ...
local checkpoint = load "checkpoint"
local session = load "session"
local text = load "text"

local replay = {}
local over = { done = true, cached = true, pruned = true }

----------------------------------------------------------------------------------------------------- which run

local runs -- ordinal -> { id, state }, of all launches of the chain; the newest first

local function read_runs()
   local list, launch = {}, core.replay().launch
   while launch > 0 do
      local before, its = core.launch_runs(launch)
      for _, run in ipairs(its) do list[run.ordinal] = list[run.ordinal] or run end
      launch = before < launch and before or 0
   end
   return list
end

--- What is recorded of fit number `ordinal`, or nil.
function replay.past(ordinal)
   if not core.replay() then return nil end
   runs = runs or read_runs()
   local run = runs[ordinal]
   return run and core.recorded(run.id) or nil
end

--- Is it over, so that nothing is left to train?
function replay.is_over(past) return over[past.state] end

--------------------------------------------------------------------------------------------------- is it the same

local function add(list, format, ...) list[#list + 1] = format:format(...) end

local function compare_hashes(list, word, old, new)
   for _, name in ipairs(text.keys(new)) do
      if old[name] and old[name] ~= new[name] then add(list, word, name) end
   end
end

-- What is known to differ, in words.
local function differences(past, now)
   local list = {}
   if past.model ~= now.handle:json() then add(list, "the model") end
   if past.seed ~= now.seed then add(list, "the seed (%d, now %d)", past.seed, now.seed) end
   if past.batch_size ~= now.batch_size then add(list, "batch_size (%d, now %d)", past.batch_size, now.batch_size) end
   if past.epochs_planned ~= now.epochs then add(list, "epochs (%d, now %d)", past.epochs_planned, now.epochs) end
   for _, p in ipairs(session.params_of(now)) do
      local old = past.params[p.name]
      if p.name ~= "batch_size" and p.name ~= "epochs" and old ~= nil and old ~= p.value then
         add(list, "%s (%s, now %s)", p.name, text.show(old), text.show(p.value))
      end
   end
   local sets = { train = now.train.handle:digest(), validation = now.validation and now.validation.handle:digest() }
   compare_hashes(list, "the %s data", past.datasets, sets)
   compare_hashes(list, "the plugin of the %s", past.plugins, core.plugin_hashes(now.handle, now.recipe))
   return list
end

--- Raises an error when this fit (`now`: what session.begin gets) is not the recorded one.
function replay.check(past, now)
   if past.fingerprint and now.fingerprint == past.fingerprint then return end
   local list = differences(past, now)
   if not list[1] then
      if not past.fingerprint or not now.fingerprint then return end -- it has none: what can be compared is equal
      add(list, "its functions (callbacks, on_epoch, schedules), weights, or other options of fit")
   end
   local what = #list == 1 and list[1] or table.concat(list, ", ", 1, #list - 1) .. " and " .. list[#list]
   text.fail("this fit is not the one that run %d recorded: %s differ%s; perilune run trains anew", past.id, what,
      #list == 1 and "s" or "")
end

------------------------------------------------------------------------------------------------------- it is over

local function load_weights(past, handle)
   local path = core.run_folder(past.uuid) .. "/final.safetensors"
   if not core.exists(path) then
      text.fail("run %d is %s, but its weights are gone (%s); without them what follows cannot be repeated: " ..
         "perilune run trains anew", past.id, past.state, path)
   end
   handle:load(path)
   return core.metadata(path, "perilune.state")
end

local function from_hex(hex)
   return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

--- The state of callbacks and functions at a fit's end, as text for its final weights.
function replay.to_text(bytes)
   return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

--- Takes a finished fit from the database: loads its weights into the model, puts back what callbacks remembered, and
-- returns its epochs and why it stopped (or nil).
function replay.take(past, now, functions)
   local kept = load_weights(past, now.handle)
   local saved = kept and checkpoint.read(from_hex(kept)) or nil
   if saved then
      checkpoint.apply(now.hooks, functions, saved)
      core.set_rate(now.recipe, saved.rate)
   end
   local epochs = {}
   for number = 1, now.epochs do
      local e = past.epochs[number]
      if e and saved and saved.epochs[number] then
         epochs[#epochs + 1] = saved.epochs[number] -- with what callbacks added
      elseif e then
         e.kind, e.epoch, e.epochs, e.batches, e.validating = "epoch", number, now.epochs, now.batches, false
         e.batch, e.step = now.batches, (number - now.initial_epoch) * now.batches
         epochs[#epochs + 1] = e
      end
   end
   session.say(("run %d is done: %d epoch%s taken from the database"):format(past.id, #epochs,
      #epochs == 1 and "" or "s"))
   return epochs, saved and saved.stopped or nil
end

----------------------------------------------------------------------------------------------------- it goes on

local function same_bits(a, b) return a == b or a ~= a and b ~= b end

-- What two processes may measure differently.
local measured = { seconds = true, images_per_second = true, memory = true }

--- Does an epoch that was computed again equal its row?  Returns nil, or what differs.
function replay.differs(row, e)
   for _, name in ipairs(text.keys(row)) do
      if not measured[name] and e[name] ~= nil and not same_bits(row[name], e[name]) then
         return ("%s was %s and is %s now"):format(name, core.number(row[name]), core.number(e[name]))
      end
   end
   return nil
end

--- Goes on with a recorded run: restores the trainer, then marks the run as running.  Returns what Lua kept, or nil
-- when there is no checkpoint and all is computed again.
function replay.go_on(f, past)
   local saved = checkpoint.restore(f)
   local epoch, batch = f.trainer:position()
   local again = 0
   for number in next, past.epochs do
      if number > epoch then again = again + 1 end
   end
   local where = ("in epoch %d of %d"):format(epoch + 1, f.epochs)
   if epoch >= f.epochs then where = ("after epoch %d"):format(epoch) end
   if batch > 0 then where = ("%s, after batch %d"):format(where, batch) end
   if not saved then where = "from the beginning, without a checkpoint" end
   local message = ("%s; %d recorded epoch%s computed again"):format(where, again, again == 1 and " is" or "s are")
   f.run:go_on(message)
   session.say(("run %d goes on %s"):format(past.id, message))
   return saved
end

return replay
