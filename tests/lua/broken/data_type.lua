local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.data.table { inputs = { { 1 }, { "two" } }, targets = { 0, 1 } }
