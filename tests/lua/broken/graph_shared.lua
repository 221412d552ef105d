local lab = require "perilune"
local nn, optim = lab.nn, lab.optim
local dense = nn.Dense { units = 3 }
local a = nn.Sequential { nn.Input { 2 }, dense }
local b = nn.Sequential { nn.Input { 2 }, dense }
