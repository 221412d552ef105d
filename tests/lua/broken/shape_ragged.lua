local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.data.table { inputs = { { 0, 0 }, { 0 } }, targets = { 0, 1 } }
