"""runs, show and diff tell what was recorded, for people and as JSON."""
import re
import subprocess

import tap

t = tap.Test()
t.train()
t.train("--set", "learning_rate=0.01", "--seed", "9")
t.train("--set", "name=other", "--set", "units=8", "--set", "epochs=2")
t.train()

# ------------------------------------------------------------------------------------------------------- runs
listed = t.run("runs")
lines = listed.out.splitlines()
t.ok(listed.status == 0 and listed.err == "", "runs works", listed)
t.ok(re.match(r"id +experiment +state +epochs +best +metric +time +started$", lines[0]), "runs has titles", listed)
t.ok([line.split()[0] for line in lines[1:]] == ["4", "3", "2", "1"], "the newest comes first", listed)
t.ok(re.search(r"^ *3 +other +done +2/2 +0\.\d{4} +val_accuracy +\d+\.\d+ m?s +(just now|\d+ s ago)$", lines[2]),
     "a line tells experiment, state, epochs, score, time and start", listed)
t.ok("\033" not in listed.out, "no colour in a pipe", listed)

everything = t.run("runs", "--json").json()
t.ok([r["id"] for r in everything] == [4, 3, 2, 1] and everything[0]["experiment"] == "quick"
     and everything[1]["epochs_done"] == 2 and everything[2]["seed"] == 9 and 0 < everything[0]["score"] <= 1
     and everything[0]["score_name"] == "val_accuracy" and everything[0]["parameters"] == 785 * 32 + 330,
     "runs --json holds the numbers", everything)
t.ok(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", everything[0]["started"]), "times are ISO 8601 in UTC")
t.ok([r["id"] for r in t.run("runs", "--experiment", "other", "--json").json()] == [3], "--experiment chooses")
t.ok([r["id"] for r in t.run("runs", "--limit", "2", "--json").json()] == [4, 3], "--limit limits")
best = t.run("runs", "--best", "--json").json()
t.ok(best[0]["score"] == max(r["score"] for r in everything), "--best sorts by score", best)
t.ok(t.run("runs", "--state", "failed", "--json").json() == [], "--state chooses")
near = t.run("runs", "--state", "dnoe")
t.ok(near.status == 2 and "did you mean 'done'?" in near.err, "a misspelled state", near)
none = t.run("runs", "--experiment", "nobody")
t.ok(none.status == 0 and none.out == "" and "perilune runs" in none.err, "no run like that is no failure", none)
narrow = t.run("runs", env={"COLUMNS": "40"})
t.ok(max(len(line) for line in narrow.out.splitlines()) <= 40, "runs fits a narrow terminal", narrow)

# ------------------------------------------------------------------------------------------------------- show
shown = t.run("show", "1")
t.ok(shown.status == 0 and shown.err == "", "show works", shown)
t.ok(re.match(r"run 1 +quick +done +epochs 4/4 .*#small\n", shown.out), "show begins with what the run is", shown)
t.ok(len(re.findall(r"^ +[1-4] +\d\.\d{4} +0\.\d{4} +\d\.\d{4} +0\.\d{4} +3\.0e-03 ", shown.out, re.M)) == 4,
     "show has a line an epoch", shown)
for words in ("in script     batch_size 20", "learning_rate 0.003", "val_loss      ", "evaluated     digits",
              "final.safetensors", "script        quick.lua", "25,450 parameters   seed 7", "digest        "):
    t.ok(words in shown.out, f"show tells '{words.strip()}'", shown)
t.ok("command line  learning_rate 0.01" in t.run("show", "2").out, "show tells what the command line set", t.run("show", "2"))
t.ok(t.run("show").out.startswith("run 4 "), "show alone is the last run")
t.ok(t.run("show", "best").out.startswith(f"run {best[0]['id']} "), "show best")
t.ok(t.run("show", "best:other").out.startswith("run 3 "), "show best:EXPERIMENT")
t.ok(t.run("show", everything[1]["uuid"][:12]).out.startswith("run 3 "), "show takes the beginning of a uuid")
t.ok(t.run("show", "1", "--script").out == tap.SCRIPT, "--script prints the script that was run")
few = t.run("show", "1", "--epochs", "2")
t.ok("epochs between are not shown" in few.out, "--epochs limits the table", few)

whole = t.run("show", "1", "--json").json()
t.ok(len(whole["epochs"]) == 4 and whole["params"]["learning_rate"] == 0.003 and whole["params"]["units"] == 32
     and whole["launch"]["script"] == "quick.lua" and whole["tags"] == ["small"]
     and {v["name"] for v in whole["evaluations"]} == {"loss", "accuracy"}
     and {d["role"] for d in whole["datasets"]} >= {"train", "validation"}
     and "Dense" in {p["type"] for p in whole["plugins"]}, "show --json holds everything", whole)
missing = t.run("show", "99")
t.ok(missing.status == 1 and "99" in missing.err, "a run that is not there", missing)

# ------------------------------------------------------------------------------------------------------- diff
other = t.run("diff", "1", "2")
t.ok(other.status == 0 and re.search(r"parameter +learning_rate +0\.003 +0\.01", other.out)
     and re.search(r"run +seed +7 +9", other.out), "diff shows a parameter and a seed that differ", other)
t.ok(re.search(r"digits: accuracy +0\.\d{4} +0\.\d{4}", other.out), "diff shows both results", other)
same = t.run("diff", "1", "4")
t.ok("nothing that was recorded differs" in same.out and "the same bits" in same.out, "two equal runs", same)
with open(t.path("quick.lua"), "a", encoding="utf-8") as f:
    f.write("-- one line more\n")
t.run("run", "quick.lua", "--quiet")
lines = t.run("diff", "1", "5")
t.ok(re.search(r"^\+ +\d+  -- one line more$", lines.out, re.M), "diff shows the script's lines that differ", lines)
told = t.run("diff", "1", "2", "--json").json()
t.ok(told["same_bits"] is False and any(d["name"] == "learning_rate" for d in told["differences"]), "diff --json", told)

# ------------------------------------------------------------------------------------------------ a failed run
with open(t.path("bad.lua"), "w", encoding="utf-8") as f:
    f.write(tap.SCRIPT.replace("batch_size = 20 }", "batch_size = 20, on_epoch = function(e) error 'too hot' end }"))
t.ok(t.run("run", "bad.lua", "--quiet").status == 1, "a script that fails is status 1")
failed = t.run("show")
t.ok(re.search(r"failed +epochs 1/4", failed.out) and "too hot" in failed.out, "show tells why a run failed", failed)

with open(t.path("no.db"), "w", encoding="utf-8") as f:
    f.write("this is a letter, not a database\n" * 40)
foreign = t.run("runs", "--db", "no.db")
t.ok(foreign.status == 1 and "no.db" in foreign.err, "a file that is no database is named", foreign)
t.done()
