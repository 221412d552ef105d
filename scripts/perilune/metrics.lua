--- lab.metrics: every registered metric, found when it is first asked for.

local _, load = ...

return load "part".family("metric", "lab.metrics")
