--- Writes a line an epoch into a CSV file.

local core, load = ...
local callbacks = load "callbacks"

local function line(e, names, separator)
   local cells = {}
   for i, name in ipairs(names) do
      local v = e[name]
      cells[i] = type(v) ~= "number" and "" or math.type(v) == "integer" and tostring(v) or core.number(v)
   end
   return table.concat(cells, separator) .. "\n"
end

-- What came after the checkpoint is written again.  By another name, so that being killed here loses nothing.
local function cut(self, path, before)
   local draft = path .. ".tmp"
   local file, why = io.open(draft, "w")
   local done = file and file:write(before)
   done = file and file:close() and done
   if done then done, why = os.rename(draft, path) end
   if not done then self:fail("cannot write: %s", why or path) end
end

return callbacks.define {
   name = "CSVLogger",
   options = {
      { "string" },
      filename = { "string" },
      separator = { "string", default = "," },
      append = { "boolean", default = false },
   },

   on_train_begin = function(self, fit)
      local o = self.options
      local path = o.filename or o[1]
      if not path then self:fail("it needs filename = \"log.csv\"") end
      local keep = o.append or fit.resumed
      local known, before = keep and io.open(path, "r"), ""
      if known then
         before = known:read(fit.resumed and self.state.bytes or "a") or ""
         known:close()
      end
      if fit.resumed then cut(self, path, before) end
      local file, why = io.open(path, keep and "a" or "w")
      if not file then self:fail("cannot write: %s", why) end
      self.file, self.headed, self.state = file, before ~= "", { bytes = #before }
   end,

   on_epoch_end = function(self, e)
      local names = { "epoch", "loss", "learning_rate" }
      for name, value in pairs(e) do
         if type(value) == "number" and (name:find "^val_" or e["val_" .. name]) and name ~= "loss" then
            names[#names + 1] = name
         end
      end
      table.sort(names, function(a, b) return a ~= b and (a == "epoch" or b ~= "epoch" and a < b) end)
      if not self.headed then
         self.file:write(table.concat(names, self.options.separator), "\n")
         self.headed = true
      end
      self.file:write(line(e, names, self.options.separator))
      self.file:flush()
      self.state.bytes = self.file:seek()
   end,

   on_train_end = function(self) self.file:close() end,
}
