--- The identity of functions and what they rest on: of on_epoch, callbacks and schedules, for a fit's fingerprint.
--
-- A Lua function is its bytecode without lines and names, the values of its upvalues, and the globals that it
-- reaches, each hashed in the same way.  Functions of the standard library and of this one are known by name.  What
-- has no value to hash (a file, a coroutine, somebody's C function) makes the whole unknown, and the reason says
-- where it stands: "upvalue 'log' of on_epoch is a file".

local core, load = ...
local plain = load "plain"
local text = load "text"

local hash = {}

-- Taken now, before a script can replace them.
local dump, getupvalue, getinfo, rawmeta = string.dump, debug.getupvalue, debug.getinfo, debug.getmetatable
local globals = _G
local MOST, DEEPEST = 1000000, 150

------------------------------------------------------------------------------------------------- known by name

local standard = { "string", "table", "math", "io", "os", "coroutine", "utf8", "debug", "package" }
local basic = {
   "assert", "collectgarbage", "dofile", "error", "getmetatable", "ipairs", "load", "loadfile", "next", "pairs",
   "pcall", "print", "rawequal", "rawget", "rawlen", "rawset", "require", "select", "setmetatable", "tonumber",
   "tostring", "type", "warn", "xpcall",
}

local function is_native(value)
   local kind = type(value)
   return kind == "userdata" or kind == "function" and getinfo(value, "S").what == "C"
end

local function name_entries(names, prefix, t)
   for key, value in next, t do
      if type(key) == "string" and is_native(value) and not names[value] then names[value] = prefix .. key end
   end
end

local function known_names()
   local names = {}
   for _, name in ipairs(standard) do
      local library = package.loaded[name]
      if type(library) == "table" then
         names[library] = "lua " .. name
         name_entries(names, "lua " .. name .. ".", library)
      end
   end
   for _, name in ipairs(basic) do
      local value = rawget(globals, name)
      if is_native(value) then names[value] = "lua " .. name end
   end
   names[core], names[load] = "perilune core", "perilune load"
   name_entries(names, "perilune core.", core)
   local _, parts = getupvalue(load, 2) -- what was loaded, by name (module.c)
   for name, value in next, parts do
      if type(value) == "table" or type(value) == "function" then
         names[value] = ("perilune %s %s"):format(core.version, name)
      end
   end
   return names
end

--------------------------------------------------------------------------------------------------- the walk

local Walk = {}
Walk.__index = Walk

function Walk:add(word)
   self.out[#self.out + 1] = word
end

-- The first obstacle is told; the walk goes on, for the functions that it finds.
function Walk:refuse(path, format, ...)
   self.why = self.why or path .. " " .. format:format(...)
   self:add "?"
end

local function order(a, b)
   local x, y = math.type(a) or type(a), math.type(b) or type(b)
   if x ~= y then return x < y end
   if x == "boolean" then return not a and b end
   return a < b
end

-- Sorted keys, or nil when some have no order.
local function sorted(t)
   local keys = {}
   for key in next, t do
      local kind = type(key)
      if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then return nil end
      keys[#keys + 1] = key
   end
   table.sort(keys, order)
   return keys
end

function Walk:entries(t, path)
   local keys = sorted(t)
   if not keys then return self:refuse(path, "has keys that are no text, number or boolean") end
   self:add "{"
   for _, key in ipairs(keys) do
      self:value(key, path)
      local place = type(key) == "string" and ("%s.%s"):format(path, key) or ("%s[%s]"):format(path, text.show(key))
      self:value(rawget(t, key), place)
   end
   self:add "}"
end

-- Objects of this library name, in __hash, the fields that make them what they are; class: their methods, too.
function Walk:object(t, meta, path)
   self:add("object " .. tostring(rawget(meta, "__name")))
   for _, field in ipairs(meta.__hash) do
      self:add(field)
      self:value(rawget(t, field), ("%s.%s"):format(path, field))
   end
   if meta.__hash.class then self:value(meta.__index, path) end
end

function Walk:table(t, path)
   if t == globals then return self:refuse(path, "is the table of all globals") end
   local meta = rawmeta(t)
   if meta == nil then return self:entries(t, path) end
   if type(meta) == "table" and rawget(meta, "__hash") then return self:object(t, meta, path) end
   self:entries(t, path)
   self:value(meta, path .. "'s metatable")
end

-- An upvalue that is an environment: only the globals that the function names.
function Walk:environment(t, fields, whole, path)
   if whole then return self:refuse(path, "uses the table of all globals as a value") end
   for _, name in ipairs(sorted(fields or {})) do
      local value = rawget(t, name)
      local meta = value == nil and rawmeta(t)
      if type(meta) == "table" and rawget(meta, "__index") == globals then value = rawget(globals, name) end
      self:add(name)
      self:value(value, ("global '%s' of %s"):format(name, path))
   end
end

function Walk:closure(f, path)
   local code, read, assigned, whole, written = core.function_code(dump(f, true))
   if not getinfo(f, "S").source:find "^=%(perilune " then
      self.functions[#self.functions + 1] = { f = f, path = path, assigned = assigned, written = written }
   end
   self:add("function " .. code)
   for i = 1, 255 do
      local name, value = getupvalue(f, i)
      if not name then break end
      if value == globals or name == "_ENV" and type(value) == "table" then
         self:environment(value, read[i], whole[i], path)
      else
         self:value(value, ("upvalue '%s' of %s"):format(name, path))
      end
   end
end

local digests = {
   ["perilune.dataset"] = function(set) return set:digest() end,
   ["perilune.recipe"] = function(recipe) return recipe:json() end,
   ["perilune.model"] = function(model) return model:json() .. (model:initialized() and model:digest() or "") end,
}

function Walk:userdata(value, path)
   local meta = rawmeta(value)
   local digest = type(meta) == "table" and digests[meta.__name]
   local ok, word = pcall(digest or error, value)
   if digest and ok then return self:add(meta.__name .. " " .. word) end
   local name = type(meta) == "table" and type(meta.__name) == "string" and meta.__name or "userdata"
   name = name == "FILE*" and "file" or name:gsub("^perilune%.", "")
   self:refuse(path, "is %s %s", name:find "^[aeiou]" and "an" or "a", name)
end

function Walk:value(value, path)
   local kind = math.type(value) or type(value)
   if kind == "nil" or kind == "boolean" or kind == "integer" or kind == "float" or kind == "string" then
      return self:add(plain.encode(value))
   end
   if self.names[value] then return self:add("@" .. self.names[value]) end
   if self.seen[value] then return self:add("#" .. self.seen[value]) end
   self.count = self.count + 1
   self.seen[value] = self.count
   if self.count > MOST then return self:refuse(path, "reaches more than %d tables and functions", MOST) end
   if self.depth > DEEPEST then return self:refuse(path, "is nested too deeply") end
   self.depth = self.depth + 1
   if kind == "table" then
      self:table(value, path)
   elseif kind == "function" and is_native(value) then
      self:refuse(path, "is a C function that is not known")
   elseif kind == "function" then
      self:closure(value, path)
   elseif kind == "userdata" then
      self:userdata(value, path)
   else
      self:refuse(path, "is a %s", kind == "thread" and "coroutine" or kind)
   end
   self.depth = self.depth - 1
end

--- Walks through a list of { name, value }.  Returns its SHA-256, or nil and why there is none; then the functions of
-- the script that are reached: { f =, path =, assigned =, written = } (see function_hash.c).
function hash.walk(list)
   local self = setmetatable({
      out = {}, names = known_names(), seen = {}, count = 0, depth = 0, functions = {},
   }, Walk)
   for _, entry in ipairs(list) do
      self:add(entry[1])
      self:value(entry[2], entry[1])
   end
   if self.why then return nil, self.why, self.functions end
   for i, word in ipairs(self.out) do self.out[i] = ("%d:%s"):format(#word, word) end
   return core.sha256(table.concat(self.out)), nil, self.functions
end

--- The identity of one value; or nil and why there is none.
function hash.value(value, name)
   local hex, why = hash.walk { { name or "the value", value } }
   return hex, why
end

return hash
