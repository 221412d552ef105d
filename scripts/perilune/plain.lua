--- Plain data as bytes and back: what a checkpoint keeps of Lua.
--
-- Plain are nil, booleans, numbers, strings, and tables of them without a metatable.  Numbers keep their bits and
-- tables their keys; what two tables share is two after reading, and a table that holds itself is not plain.

local _, load = ...
local text = load "text"

local plain = {}
local pack, unpack = string.pack, string.unpack
local DEEPEST = 100

local function show(value)
   return io.type(value) and "a file" or text.show(value)
end

local write

-- Appends the bytes of `value`; returns what stands in the way, as a text, or nil.
local function write_table(out, value, path, open)
   if getmetatable(value) ~= nil then return ("%s is %s"):format(path, show(value)) end
   if open[value] then return ("%s holds itself"):format(path) end
   if open.depth >= DEEPEST then return ("%s is nested too deeply"):format(path) end
   open[value], open.depth = true, open.depth + 1
   out[#out + 1] = "{"
   for k, v in next, value do
      if type(k) == "table" then return ("%s has a table as a key"):format(path) end
      local why = write(out, k, path, open) or
         write(out, v, type(k) == "string" and path .. "." .. k or ("%s[%s]"):format(path, tostring(k)), open)
      if why then return why end
   end
   out[#out + 1] = "}"
   open[value], open.depth = nil, open.depth - 1
   return nil
end

function write(out, value, path, open)
   local kind = math.type(value) or type(value)
   if kind == "nil" then out[#out + 1] = "n"
   elseif kind == "boolean" then out[#out + 1] = value and "t" or "f"
   elseif kind == "integer" then out[#out + 1] = pack("<c1i8", "i", value)
   elseif kind == "float" then out[#out + 1] = pack("<c1d", "d", value)
   elseif kind == "string" then out[#out + 1] = pack("<c1s8", "s", value)
   elseif kind == "table" then return write_table(out, value, path, open)
   else return ("%s is %s"):format(path, show(value)) end
   return nil
end

--- The bytes of a value; or nil and why not, with the place named after `what`: "state.file is a FILE*".
function plain.encode(value, what)
   local out = {}
   local why = write(out, value, what or "the value", { depth = 0 })
   if why then return nil, why end
   return table.concat(out)
end

local function read(bytes, at)
   local kind = bytes:sub(at, at)
   at = at + 1
   if kind == "n" then return nil, at end
   if kind == "t" or kind == "f" then return kind == "t", at end
   if kind == "i" then return unpack("<i8", bytes, at) end
   if kind == "d" then return unpack("<d", bytes, at) end
   if kind == "s" then return unpack("<s8", bytes, at) end
   if kind ~= "{" then error("damaged data", 0) end
   local t = {}
   while bytes:sub(at, at) ~= "}" do
      local key, value
      key, at = read(bytes, at)
      value, at = read(bytes, at)
      t[key] = value
   end
   return t, at + 1
end

--- The value of such bytes; raises an error when they are damaged.
function plain.decode(bytes)
   return (read(bytes, 1))
end

-- Makes `old` hold what `new` does; tables within are kept, so that everybody who knows them sees it.
local function fill(old, new)
   for k in next, old do
      if new[k] == nil then old[k] = nil end
   end
   for k, v in next, new do
      if type(v) == "table" and type(old[k]) == "table" then fill(old[k], v) else old[k] = v end
   end
end
plain.fill = fill

return plain
