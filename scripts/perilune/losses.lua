--- lab.losses: every registered loss, found when it is first asked for.

local _, load = ...

return load "part".family("loss", "lab.losses")
