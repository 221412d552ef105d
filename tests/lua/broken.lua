-- Broken scripts: the whole message of each is compared with the file beside it.  With PERILUNE_BLESS set, the files
-- are written instead (then read them).
local tap = dofile((arg[0]:match "^(.*/)" or "") .. "tap.lua")

local folder = tap.here .. "broken"

local function plain(s) return (s:gsub("%W", "%%%0")) end

-- Paths of this build do not belong into a message's text.
local function neutral(out)
   local build = tap.program:match "^(.*)/[^/]*$"
   return (out:gsub(plain(tap.folder), "$FOLDER"):gsub(plain(build), "$BUILD"))
end

for name in tap.shell("ls " .. tap.quote(folder)):gmatch "([%w_]+)%.lua\n" do
   tap.test(name, function()
      local out, status = tap.shell(("cd %s && %s run %s.lua"):format(tap.quote(folder), tap.quote(tap.program), name))
      out = neutral(out) .. ("[exit status %d]\n"):format(status)
      local expected = ("%s/%s.txt"):format(folder, name)
      if os.getenv "PERILUNE_BLESS" then
         local file = assert(io.open(expected, "w"))
         file:write(out)
         file:close()
      end
      tap.equal(out, tap.read(expected))
   end)
end

tap.test("there are at least sixty of them", function() tap.check(tap.count > 60, tap.count .. " cases") end)

tap.done()
