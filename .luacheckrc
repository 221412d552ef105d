-- luacheck . : Lua 5.4, nothing global but what Lua itself has.
std = "lua54"
max_line_length = 120
codes = true
self = false            -- a method need not use its self
ignore = {
   "581",                        -- not (x <= y) is how NaN is caught
   "211/guard", "211/line",      -- values that live to be closed
}
files["tests/lua/broken"] = { ignore = { ".*" } }
exclude_files = { "build*", "tests/lua/broken/lua_syntax.lua" }
