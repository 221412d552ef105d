--- lab.optim: every registered optimizer, found when it is first asked for.

local _, load = ...

return load "part".family("optimizer", "lab.optim")
