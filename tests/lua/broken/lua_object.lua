local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
error(setmetatable({}, { __tostring = function() return "a text of its own" end }))
