--- Perilune's Lua face: what `require "perilune"` returns.
--
-- Every file of this library begins with `local core, load = ...`: `core` holds the C bindings, `load` runs
-- another file of the library once and returns what it returned.  No global is set, and nothing here is shared
-- between two Lua states.  The parts are loaded when they are first used, so that a small script starts fast.

local core, load = ...

local session = load "session"
local text = load "text"

local lab = {
   version = core.version,
   experiment = session.experiment,
   param = session.param,
   log = session.log,
}

-- Parts by name: what to load, and when.
local parts = {
   nn = "nn", optim = "optim", losses = "losses", metrics = "metrics",
   data = "data", callbacks = "callbacks", schedules = "schedules",
}

local function names()
   local list = { "seed" }
   for name in pairs(lab) do list[#list + 1] = name end
   for name in pairs(parts) do
      if not rawget(lab, name) then list[#list + 1] = name end
   end
   for _, name in ipairs(core.files "callbacks/") do list[#list + 1] = name end
   return list
end

-- lab.EarlyStopping is lab.callbacks.EarlyStopping; lab.seed is the seed in force.
local function index(self, key)
   if key == "seed" then return session.seed() end
   if parts[key] then
      local part = load(parts[key])
      rawset(self, key, part)
      return part
   end
   local callback = load "callbacks"[key]
   if callback then return callback end
   return text.unknown("lab", key, names())
end

session.seed_lua()

return setmetatable(lab, {
   __name = "perilune",
   __index = index,
   finish = session.finish, -- called by the program when the script has ended
})
