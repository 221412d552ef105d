local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.data.table { inputs = { { 1 }, { 2 } }, targets = { 0, 5 }, classes = 2 }
