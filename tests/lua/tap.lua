--- The least that a test needs: named tests, checks, TAP on stdout.
--
--    local tap = dofile((arg[0]:match "^(.*/)" or "") .. "tap.lua")
--    tap.test("a view copies nothing", function() tap.equal(#set:take(3), 3) end)
--    tap.done()
--
-- Each test program has a folder of its own, tap.folder, where everything that it writes goes.

local tap = { count = 0, failed = 0 }

tap.program = assert(os.getenv "PERILUNE_PROGRAM", "PERILUNE_PROGRAM is the program to test")
tap.folder = assert(os.getenv "PERILUNE_TEST_FOLDER", "PERILUNE_TEST_FOLDER is where tests may write")
tap.here = arg[0]:match "^(.*/)" or ""

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end
tap.quote = quote

os.execute("rm -rf " .. quote(tap.folder) .. " && mkdir -p " .. quote(tap.folder))

local function show(v)
   if type(v) == "string" then return ("%q"):format(v) end
   return tostring(v)
end

--- Runs `body`; an error fails the test.
function tap.test(name, body)
   tap.count = tap.count + 1
   local ok, why = xpcall(body, function(e)
      return type(e) == "string" and debug.traceback(e, 2) or show(e)
   end)
   print(("%s %d - %s"):format(ok and "ok" or "not ok", tap.count, name))
   if not ok then
      tap.failed = tap.failed + 1
      print("# " .. tostring(why):gsub("\n", "\n# "))
   end
end

function tap.check(condition, what)
   if not condition then error(what or "the check failed", 2) end
end

function tap.equal(got, wanted, what)
   if got ~= wanted then
      error(("%sexpected %s, got %s"):format(what and what .. ": " or "", show(wanted), show(got)), 2)
   end
end

--- Nearly: within `tolerance`, relative to the larger.
function tap.near(got, wanted, tolerance, what)
   local scale = math.max(1, math.abs(wanted))
   if not (math.abs(got - wanted) <= (tolerance or 1e-6) * scale) then
      error(("%sexpected about %s, got %s"):format(what and what .. ": " or "", show(wanted), show(got)), 2)
   end
end

--- The error that `f` raises must hold `text`.
function tap.fails(text, f, ...)
   local ok, why = pcall(f, ...)
   if ok then error("an error was expected: " .. text, 2) end
   if not tostring(why):find(text, 1, true) then
      error(("expected an error with %q, got %q"):format(text, tostring(why)), 2)
   end
   return why
end

--- Runs a shell command: all that it wrote (stderr too), and its exit status.
function tap.shell(command)
   local pipe = assert(io.popen("{ " .. command .. "; } 2>&1", "r"))
   local out = pipe:read "a"
   local _, kind, status = pipe:close()
   return out, kind == "exit" and status or 128 + status
end

--- What a query answers, rows as lines, columns separated by |.
function tap.query(sql, database)
   return (tap.shell(("sqlite3 %s %s"):format(quote(database or os.getenv "PERILUNE_DB"), quote(sql))):gsub("\n$", ""))
end

--- The address sanitizer's library when the program is built with it, else nil: it keeps freed memory, and must come
-- first in other programs.
function tap.sanitizer()
   return tap.read "/proc/self/maps":match "(/%S*libasan%S*)"
end

function tap.write(name, content)
   local path = tap.folder .. "/" .. name
   local file = assert(io.open(path, "w"))
   file:write(content)
   file:close()
   return path
end

function tap.read(path)
   local file = assert(io.open(path, "rb"))
   local all = file:read "a"
   file:close()
   return all
end

function tap.done()
   print("1.." .. tap.count)
   if tap.failed > 0 then os.exit(1) end
end

return tap
