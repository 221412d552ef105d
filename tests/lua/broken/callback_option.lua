local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.EarlyStopping { patiense = 3 }
