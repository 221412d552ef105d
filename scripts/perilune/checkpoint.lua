--- Checkpoints: what a fit needs to go on after its process was killed, in one file that is replaced whole.
--
-- The engine's part is weights, optimizer, counters, sums.  Lua's part, kept in the same file, is what lies between
-- two events: the epochs so far, whether fit was asked to stop, each callback's `state` (of a callback that is a bare
-- table: all of its plain fields), and what the functions of the script that fit calls keep in variables outside of
-- them.
--
-- Saved when more than a second and more than 100 times the cost of the last one have passed ($PERILUNE_CHECKPOINT:
-- another number of seconds), so that it costs at most 1 % of the time; and at a stop.

local core, load = ...
local plain = load "plain"
local session = load "session"

local checkpoint = {}
local NAME = "checkpoint.safetensors"
local getupvalue, setupvalue = debug.getupvalue, debug.setupvalue

local Checkpoint = {}
Checkpoint.__index = Checkpoint

local function seconds_between()
   return core.parse(os.getenv "PERILUNE_CHECKPOINT" or "") or 1
end

--- `functions`: of the script, that fit calls (see hash.lua).
function checkpoint.new(f, functions)
   return setmetatable({
      f = f, functions = functions or {}, last = core.clock(), cost = 0, every = seconds_between(), epochs = { "{" },
      waiting = {}, told = {},
   }, Checkpoint)
end

------------------------------------------------------------------------------------------ what Lua remembers

-- Something that no checkpoint can hold: said once, and kept with the run.
function Checkpoint:lacks(what)
   if self.told[what] then return end
   self.told[what] = true
   session.say(("note: %s, which no checkpoint can hold: resumed, this run may end with other numbers"):format(what))
   self.f.run:inexact(what .. ", which no checkpoint can hold")
end

-- The plain fields of a callback that is a bare table.
local function plain_fields(entry)
   local fields = {}
   for key, value in next, entry do
      if type(value) ~= "function" and key ~= "state" and plain.encode(value) then fields[key] = value end
   end
   return fields
end

function Checkpoint:hooks()
   local list = {}
   for i, hook in ipairs(self.f.hooks) do
      local entry, kept = hook.entry, {}
      if not hook.alone then
         local state = rawget(entry, "state")
         local bytes, why = plain.encode(state, "state")
         if not bytes then self:lacks(("%s: %s"):format(hook.name, why)) end
         kept.state = bytes and state
         if getmetatable(entry) == nil then kept.fields = plain_fields(entry) end
      end
      list[i] = kept
   end
   return list
end

-- Variables outside of a function that it may change: those it assigns, and plain tables.
function Checkpoint:variables(entry)
   local kept = { upvalues = {}, globals = {} }
   for i = 1, 255 do
      local name, value = getupvalue(entry.f, i)
      if not name then break end
      local assigned = entry.assigned[i]
      if value == _G then
         for global in next, assigned or {} do
            local now = rawget(_G, global)
            local bytes, why = plain.encode(now, ("global '%s'"):format(global))
            if bytes then kept.globals[global] = { now } else self:lacks(("%s: %s"):format(entry.path, why)) end
         end
      elseif entry.written[i] or type(value) == "table" and (assigned or getmetatable(value) == nil) then
         local bytes, why = plain.encode(value, ("'%s'"):format(name))
         if bytes then
            kept.upvalues[i] = { value }
         elseif entry.written[i] or assigned then
            self:lacks(("%s: %s"):format(entry.path, why))
         end
      end
   end
   return kept
end

local function count(t)
   local n = 0
   for _ in next, t do n = n + 1 end
   return n
end

--- A finished epoch, for the history.  Callbacks may add to it until the next one is finished.
function Checkpoint:remember(e)
   self.waiting[#self.waiting + 1] = { e = e, count = count(e) }
end

-- The epochs' bytes; each is made once.  `over`: only when callbacks added to one.
function Checkpoint:history(over)
   for _, entry in ipairs(self.waiting) do self.extended = self.extended or count(entry.e) > entry.count end
   if over and not self.extended then return "{}" end
   for _, entry in ipairs(self.waiting) do
      local bytes = plain.encode(entry.e) or plain.encode(plain_fields(entry.e))
      self.epochs[#self.epochs + 1] = plain.encode(entry.e.epoch) .. bytes
   end
   self.waiting = {}
   return table.concat(self.epochs) .. "}"
end

--- All of it, as bytes; `over`: of a fit that has ended, whose epochs are in the database unless callbacks added to
-- them.
function Checkpoint:bytes(over)
   local variables = {}
   for i, entry in ipairs(self.functions) do variables[i] = self:variables(entry) end
   return assert(plain.encode {
      version = 1, hooks = self:hooks(), variables = variables, stopped = self.f.stopped or false,
      rate = self.f.learning_rate, epochs = self:history(over),
   })
end

-------------------------------------------------------------------------------------------------------- saving

function Checkpoint:path() return self.f.run:folder() .. "/" .. NAME end

function Checkpoint:save()
   local began = core.clock()
   self.f.trainer:save(self:path(), self:bytes())
   self.f.run.recording:file("checkpoint", NAME, "checkpoint", (self.f.trainer:position()))
   self.last = core.clock()
   self.cost = self.last - began
end

--- Between two events: saves when it is time.
function Checkpoint:tick()
   if core.clock() - self.last > math.max(self.every, 100 * self.cost) then self:save() end
end

--- Before a run ends well: its checkpoint is not needed any more.  Returns a function that removes the file, to be
-- called when the end is committed.
function Checkpoint:retire()
   local path = self:path()
   if not core.exists(path) then return function() end end
   self.f.run.recording:forget(NAME)
   return function() os.remove(path) end
end

------------------------------------------------------------------------------------------------------ restoring

--- Puts back what hooks and functions of the script remembered.  Called before on_train_begin, so that it can look at
-- `state`, and after it, because it begins anew.
function checkpoint.apply(hooks, functions, saved)
   for i, hook in ipairs(hooks) do
      local kept, entry = saved.hooks[i], hook.entry
      if kept and kept.state then
         local state = rawget(entry, "state")
         if type(state) == "table" and type(kept.state) == "table" then
            plain.fill(state, kept.state)
         else
            entry.state = kept.state
         end
      end
      for key, value in next, kept and kept.fields or {} do entry[key] = value end
   end
   for i, entry in ipairs(functions) do
      local kept = saved.variables[i] or { upvalues = {}, globals = {} }
      for at, box in next, kept.upvalues do
         local _, value = getupvalue(entry.f, at)
         if type(value) == "table" and type(box[1]) == "table" then
            plain.fill(value, box[1])
         else
            setupvalue(entry.f, at, box[1])
         end
      end
      for name, box in next, kept.globals do rawset(_G, name, box[1]) end
   end
end

--- The saved state in bytes, or nil when they are of another version.
function checkpoint.read(bytes)
   local ok, saved = pcall(plain.decode, bytes)
   if not ok or type(saved) ~= "table" or saved.version ~= 1 then return nil end
   ok, saved.epochs = pcall(plain.decode, saved.epochs)
   return ok and saved or nil
end

--- Restores the fit of a recorded run from its checkpoint, if there is one; returns what Lua kept, or nil.
function checkpoint.restore(f)
   local path = f.run:folder() .. "/" .. NAME
   core.sweep_folder(f.run:folder())
   if not core.exists(path) then return nil end
   local saved = checkpoint.read(f.trainer:restore(path))
   if not saved then
      local what = "the checkpoint %s was written by another version, or is damaged; remove it to train run %d anew"
      error(what:format(path, f.run:id()), 0)
   end
   return saved
end

return checkpoint
