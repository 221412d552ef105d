--- Words for people: values in messages, suggestions, numbers.

local core = ...

local text = {}

--- Raises an error in the script's line.
function text.fail(format, ...)
   core.fail(select("#", ...) > 0 and format:format(...) or format)
end

--- A value as a message shows it: "ten", 2.5, a function, nil.
function text.show(value)
   local kind = type(value)
   if kind == "string" then
      return #value <= 60 and ("%q"):format(value):gsub("\\\n", "\\n") or ("%q"):format(value:sub(1, 57) .. "...")
   elseif kind == "number" then
      if value ~= value then return "not a number (NaN)" end
      if value == math.huge or value == -math.huge then return value > 0 and "infinity" or "minus infinity" end
      return math.type(value) == "integer" and tostring(value) or core.number(value)
   elseif kind == "nil" or kind == "boolean" then
      return tostring(value)
   end
   local meta = getmetatable(value)
   local name = type(meta) == "table" and rawget(meta, "__name") or kind
   return (name:find "^[aeiou]" and "an " or "a ") .. name
end

--- Raises "WHAT has no 'KEY' (did you mean 'NEAR'?)".
function text.unknown(what, key, names)
   if type(key) ~= "string" then
      return text.fail("%s has no %s", what, text.show(key))
   end
   table.sort(names)
   local near = core.nearest(key, names)
   if near then
      return text.fail("%s has no '%s' (did you mean '%s'?)", what, key, near)
   end
   return text.fail("%s has no '%s'; it has %s", what, key, table.concat(names, ", "))
end

--- 866798 -> "866,798".
text.thousands = core.thousands

--- 3467192 -> "3.31 MB", as Keras counts (1024 * 1024).
function text.bytes(n)
   if n < 1024 then return ("%d B"):format(n) end
   for _, unit in ipairs { "KB", "MB", "GB" } do
      n = n / 1024
      if n < 1024 then return ("%.2f %s"):format(n, unit) end
   end
   return ("%.2f TB"):format(n / 1024)
end

--- 28, 28, 1 -> "28x28x1"; no dimension: "a number".
function text.shape(shape)
   return #shape == 0 and "a number" or table.concat(shape, "x")
end

--- 0.9163 -> "0.9163", 0.00001 -> "1.00e-05".
function text.metric(v)
   if v ~= v then return "nan" end
   local size = math.abs(v)
   if size == math.huge or (size ~= 0 and (size < 1e-3 or size >= 1e5)) then return ("%.2e"):format(v) end
   return (size >= 1000 and "%.1f" or "%.4f"):format(v)
end

--- 0.8 -> "0.80 s", 83 -> "1:23", 4000 -> "1:06:40".
function text.time(seconds)
   if seconds < 10 then return ("%.2f s"):format(seconds) end
   if seconds < 60 then return ("%.1f s"):format(seconds) end
   local s = math.floor(seconds + 0.5)
   if s < 3600 then return ("%d:%02d"):format(s // 60, s % 60) end
   return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60)
end

--- The keys of a table, sorted.
function text.keys(t)
   local list = {}
   for key in pairs(t) do list[#list + 1] = key end
   table.sort(list, function(a, b) return tostring(a) < tostring(b) end)
   return list
end

return text
