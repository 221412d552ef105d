local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
lab.schedules.cosine { learning_rate = 0.1, finale = 0 }
