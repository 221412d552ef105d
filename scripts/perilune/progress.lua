--- Progress on stderr: a header, a line an epoch, and on a terminal one live line in between.
--
--    mnist-cnn   run 7   seed 42   2 threads   mnist 55,000 + 5,000   perilune.db
--    epoch    loss  accuracy  val_loss  val_accuracy        lr    images/s     time
--        1  0.2861    0.9163    0.1204        0.9652   1.0e-03      31,870   1.73 s
--    3/5 ━━━━━━━━━━━━━━━━━━━━╸─────────  61 %   32,140/s   loss 0.0853   accuracy 0.9740   4.0 s left
--
-- Without a terminal the live line is left out.  Widths follow the terminal; ASCII where the locale is not UTF-8.

local core, load = ...
local text = load "text"

local progress = {}
local Progress = {}
Progress.__index = Progress

local live_width = 0 -- of the live line that stands on the terminal; 0: none

local function clear()
   if live_width > 0 then
      core.say "\r\27[K"
      live_width = 0
   end
end

--- A line, above the live one.
function progress.say(line)
   if core.terminal().quiet then return end
   clear()
   core.say(line .. "\n")
end

--- The same, also when --quiet was asked for: something is probably not as meant.
function progress.warn(line)
   clear()
   core.say(line .. "\n")
end

local function width(s) return utf8.len(s) or #s end

-------------------------------------------------------------------------------------------------- the header

local function sizes(fit)
   local set, parts = fit.train, { text.thousands(#fit.train) }
   if fit.validation then parts[2] = text.thousands(#fit.validation) end
   return ("%s %s"):format(set.name, table.concat(parts, " + "))
end

-- Joins as many parts as the width holds.
local function join(parts, gap, room)
   local line = ""
   for _, part in ipairs(parts) do
      local longer = line == "" and part or line .. gap .. part
      if width(longer) > room and line ~= "" then return line end
      line = longer
   end
   return line
end

local function header(self, o)
   local id, threads = o.run:id(), core.settings().threads
   local _, database = core.database()
   local run = id > 0 and ("run %d"):format(id) or "run waits for the database"
   return join({
      load "session".name(), run, ("seed %d"):format(o.seed),
      threads == 1 and "1 thread" or ("%d threads"):format(threads), sizes(o.fit), database,
   }, "   ", self.terminal.width)
end

local function head_of(names)
   local heads = { "epoch", "    loss" }
   for _, name in ipairs(names) do heads[#heads + 1] = (" "):rep(8 - #name) .. name end
   for _, name in ipairs { "      lr", "  samples/s", "    time" } do heads[#heads + 1] = name end
   return heads
end

--- o: run, fit, seed, names (the columns after loss), quiet.
function progress.new(o)
   local terminal = core.terminal()
   local self = setmetatable({
      terminal = terminal, names = o.names, fit = o.fit, quiet = o.quiet or terminal.quiet,
      began = core.clock(), shown = 0, printed = -math.huge,
   }, Progress)
   self.live = terminal.live and not self.quiet
   self.interval = self.live and 0.1 or 0.25
   if not self.quiet then
      progress.say(header(self, o))
      self.heads = head_of(o.names)
      progress.say(table.concat(self.heads, "  "))
   end
   return self
end

------------------------------------------------------------------------------------------------- the table

local function rate(v) return ("%.1e"):format(v) end

-- Hundreds of epochs in a blink: ten lines a second, and the last, are enough.
local function skip(self, e)
   local now = core.clock()
   if self.fit.epochs > 50 and e.epoch < self.fit.epochs and now - self.printed < 0.1 then return true end
   self.printed = now
end

function Progress:epoch(e)
   if self.quiet or skip(self, e) then return end
   local cells = { tostring(e.epoch), text.metric(e.loss) }
   for _, name in ipairs(self.names) do cells[#cells + 1] = text.metric(e[name]) end
   cells[#cells + 1] = rate(e.learning_rate)
   cells[#cells + 1] = text.thousands(math.floor(e.images_per_second + 0.5))
   cells[#cells + 1] = text.time(e.seconds)
   for i, cell in ipairs(cells) do cells[i] = (" "):rep(#self.heads[i] - #cell) .. cell end
   progress.say(table.concat(cells, "  "))
end

---------------------------------------------------------------------------------------------- the live line

local function bar(fraction, cells, utf8_ok)
   local halves = math.floor(fraction * cells * 2 + 0.5)
   local full = halves // 2
   if not utf8_ok then return ("="):rep(full) .. ("-"):rep(cells - full) end
   local tip = halves % 2 == 1 and full < cells
   return ("━"):rep(full) .. (tip and "╸" or "") .. ("─"):rep(cells - full - (tip and 1 or 0))
end

local function seconds_left(self, b, fraction)
   if fraction <= 0 then return nil end
   local first = self.fit.resumed or self.fit.initial_epoch
   local done, all = (b.epoch - 1 - first) + fraction, self.fit.epochs - first
   if done <= 0 then return nil end
   return (core.clock() - self.began) * (all - done) / done
end

--- Between batches: redraws the live line, at most ten times a second.
function Progress:tick(b)
   if not self.live then return end
   local now = core.clock()
   if now - self.shown < 0.1 then return end
   self.shown = now
   local fraction = b.batches > 0 and b.batch / b.batches or 0
   local parts = { ("%3d %%"):format(math.floor(fraction * 100)) }
   if b.validating then parts[#parts + 1] = "validating" end
   parts[#parts + 1] = text.thousands(math.floor(b.images_per_second + 0.5)) .. "/s"
   parts[#parts + 1] = "loss " .. text.metric(b.loss)
   for _, name in ipairs(self.names) do
      if b[name] and not name:find "^val_" then parts[#parts + 1] = name .. " " .. text.metric(b[name]) end
   end
   local left = seconds_left(self, b, fraction)
   if left then table.insert(parts, 2, text.time(left) .. " left") end
   local lead = ("%d/%d "):format(b.epoch, self.fit.epochs)
   local room = self.terminal.width - 1
   local cells = math.max(8, math.min(30, room // 4))
   local line = lead .. bar(fraction, cells, self.terminal.utf8) .. " " ..
      join(parts, "   ", room - #lead - cells - 1)
   core.say("\r" .. line .. "\27[K")
   live_width = width(line)
end

--- Takes the live line away.
function Progress:stop()
   if not self.quiet then clear() end
end
Progress.__close = function(self) self:stop() end

--- The last line.
function Progress:done(run)
   if self.quiet then return end
   local parts, id = {}, run:id()
   if run.best_epoch then
      parts[1] = ("done: best epoch %d, %s %s"):format(run.best_epoch, run.score_name, text.metric(run.best))
   else
      parts[1] = "done"
   end
   if type(self.fit.stopped) == "string" then parts[1] = ("%s (%s)"):format(parts[1], self.fit.stopped) end
   parts[#parts + 1] = text.time(core.clock() - self.began)
   if id > 0 then parts[#parts + 1] = ("perilune show %d"):format(id) end
   progress.say(table.concat(parts, "   "))
end

return progress
