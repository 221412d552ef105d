--- Options of the library's own functions, declared as data, checked in one place.
--
--    local given = options.read("fit", t, {
--       epochs = { "integer", default = 1, min = 1 },
--       shuffle = { "boolean", default = true },
--    })
--
-- Types: integer, number, boolean, string, "function", table, list, any, or the __name of an object ("dataset").
-- Several are separated by "|".  A field `required = true` must be given.  The entry [1] declares what stands
-- without a name.

local core, load = ...
local text = load "text"

local options = {}

local words = {
   integer = "an integer", number = "a number", boolean = "true or false", string = "a string",
   ["function"] = "a function", table = "a table", list = "a list", dataset = "a data set",
}

local function name_of(value)
   local meta = getmetatable(value)
   return type(meta) == "table" and rawget(meta, "__name") or nil
end

-- Does `value` have this type?  Returns it as it is to be kept: 3.0 serves as the integer 3.
local function fits(kind, value)
   if kind == "any" then return true, value end
   if kind == "integer" then
      local i = type(value) == "number" and math.tointeger(value) or nil
      return i ~= nil, i
   end
   if kind == "number" then return type(value) == "number" and value == value, value end
   if kind == "list" or kind == "table" then return type(value) == "table" and not name_of(value), value end
   if type(value) == kind then return true, value end
   return name_of(value) == kind, value
end

local function within(rule, value)
   if type(value) ~= "number" then return true end
   if rule.min and value < rule.min or rule.max and value > rule.max then return false end
   if rule.above and value <= rule.above or rule.below and value >= rule.below then return false end
   return value ~= math.huge and value ~= -math.huge
end

-- "an integer of at least 1", "a string or a function"
local function wanted(rule)
   local list = {}
   for kind in rule[1]:gmatch "[^|]+" do list[#list + 1] = words[kind] or "a " .. kind end
   local all = table.concat(list, " or ")
   local lo, hi = rule.min or rule.above, rule.max or rule.below
   if lo and hi then
      all = ("%s from %s to %s"):format(all, text.show(lo), text.show(hi))
      if rule.above then all = all .. (" (%s excluded)"):format(text.show(lo)) end
      if rule.below then all = all .. (" (%s excluded)"):format(text.show(hi)) end
   elseif lo then
      all = ("%s %s %s"):format(all, rule.min and "of at least" or "above", text.show(lo))
   end
   return all
end

local function check(what, name, rule, value)
   if value == nil then
      if rule.required and type(name) == "number" then text.fail("%s needs %s", what, wanted(rule)) end
      if rule.required then
         text.fail("%s: option '%s' is required%s", what, name, rule[1] ~= "any" and ": " .. wanted(rule) or "")
      end
      return rule.default
   end
   for kind in rule[1]:gmatch "[^|]+" do
      local ok, kept = fits(kind, value)
      if ok and within(rule, kept) then return kept end
   end
   if type(name) == "number" then
      text.fail("%s needs %s, got %s", what, wanted(rule), text.show(value))
   end
   return text.fail("%s: option '%s' must be %s, got %s", what, name, wanted(rule), text.show(value))
end

local function refuse(what, key, rules)
   if type(key) ~= "string" then
      text.fail("%s: options are named; %s stands without a name", what,
         type(key) == "number" and "entry " .. text.show(key) or text.show(key))
   end
   local names = {}
   for name in pairs(rules) do
      if type(name) == "string" then names[#names + 1] = name end
   end
   table.sort(names)
   local near = core.nearest(key, names)
   if near then text.fail("%s: unknown option '%s' (did you mean '%s'?)", what, key, near) end
   text.fail("%s: unknown option '%s'; it has %s", what, key, table.concat(names, ", "))
end

--- Checks the table `given` against `rules`; returns a new table with defaults filled in.
function options.read(what, given, rules)
   if given == nil then given = {} end
   if type(given) ~= "table" or name_of(given) then
      if rules[1] then
         given = { given }
      else
         text.fail("%s wants a table { name = value, ... }, got %s", what, text.show(given))
      end
   end
   for _, key in ipairs(text.keys(given)) do
      if not rules[key] then refuse(what, key, rules) end
   end
   local out = {}
   for _, name in ipairs(text.keys(rules)) do
      out[name] = check(what, name, rules[name], given[name])
   end
   return out
end

return options
