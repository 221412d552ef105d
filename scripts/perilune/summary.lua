--- print(model): layers, shapes, sizes, and the memory that training would take, before anything is allocated.

local core, load = ...
local text = load "text"

local summary = {}

-- Display width of UTF-8 text.
local function width(s) return utf8.len(s) or #s end

local function pad(s, n, right)
   local gap = (" "):rep(n - width(s))
   return right and gap .. s or s .. gap
end

-- A layer and the activation inside it are one row; its shape is the last one's.
local function rows_of(nodes)
   local rows, row_of = {}, {}
   for i, node in ipairs(nodes) do
      local owner = node.activation and node.inputs[1] and row_of[node.inputs[1]]
      if owner then
         owner.activation, owner.shape = node.type, node.shape
         row_of[i] = owner
      else
         local row = { node = node, shape = node.shape, from = {} }
         for k, input in ipairs(node.inputs) do row.from[k] = row_of[input] end
         rows[#rows + 1], row_of[i] = row, row
      end
   end
   return rows
end

local function is_chain(rows)
   for i, row in ipairs(rows) do
      if #row.from > 1 or row.from[1] ~= rows[i - 1] then return false end
   end
   return true
end

local function cells(rows, chain)
   local list, seen = {}, {}
   for _, row in ipairs(rows) do
      local node = row.node
      local what = row.activation and node.type .. ", " .. row.activation or node.type
      local from = {}
      for k, other in ipairs(row.from) do from[k] = other.node.name end
      local count = seen[node.layer] and "shared" or text.thousands(node.parameters)
      if node.parameters > 0 and not node.trainable and not seen[node.layer] then count = count .. " frozen" end
      if node.parameters == 0 then count = "0" end
      seen[node.layer] = true
      local connected = not chain and table.concat(from, ", ")
      list[#list + 1] = { ("%s (%s)"):format(node.name, what), row.shape, count, connected }
   end
   return list
end

local function table_of(list, chain)
   local heads = { "Layer (type)", "Output shape", "Params", not chain and "Connected to" or nil }
   local widths, lines = {}, {}
   for k, head in ipairs(heads) do widths[k] = width(head) end
   for _, row in ipairs(list) do
      for k = 1, #heads do widths[k] = math.max(widths[k], width(row[k])) end
   end
   local function line(row)
      local out = {}
      for k = 1, #heads do out[k] = pad(row[k], widths[k], k == 3) end
      lines[#lines + 1] = (table.concat(out, "   "):gsub(" +$", ""))
   end
   line(heads)
   local total = -3
   for k = 1, #heads do total = total + widths[k] + 3 end
   local rule = (core.terminal().utf8 and "─" or "-"):rep(total)
   lines[#lines + 1] = rule
   for _, row in ipairs(list) do line(row) end
   lines[#lines + 1] = rule
   return lines
end

-- Before compile says what to train for, the memory is that of the most usual optimizer.
local function usual_recipe()
   local recipe = core.recipe ""
   recipe:optimizer "Adam"
   recipe:loss "mean_squared_error"
   return recipe
end

local function totals(handle, batch, recipe)
   local all, trainable = handle:count()
   local lines = { ("%s parameters (%s)"):format(text.thousands(all), text.bytes(4 * all)) }
   if trainable ~= all then
      local apart = ", %s trainable, %s not"
      lines[1] = lines[1] .. apart:format(text.thousands(trainable), text.thousands(all - trainable))
   end
   local ok, memory = pcall(handle.memory, handle, recipe or usual_recipe(), batch)
   if ok then
      lines[2] = ("training at batch %d takes %s%s"):format(batch, text.bytes(memory), recipe and "" or " with Adam")
   end
   return lines
end

function summary.summary(self, given)
   local o = load "options".read("summary", given, { batch_size = { "integer", default = 32, min = 1 } })
   if not self.handle then
      return ("%s: %d layers; shapes are known once it sees data (or begins with nn.Input)"):format(self.name,
         #(self.layers or {}))
   end
   local handle = load "model".complete(self)
   local rows = rows_of(handle:nodes())
   local chain = is_chain(rows)
   local lines = table_of(cells(rows, chain), chain)
   table.insert(lines, 1, ("%s (%s)"):format(self.name, self.kind == "loaded" and "from a file" or self.kind))
   for _, line in ipairs(totals(handle, o.batch_size, self.recipe)) do lines[#lines + 1] = line end
   return table.concat(lines, "\n")
end

return summary
