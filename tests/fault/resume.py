"""resume, stop, Ctrl-C: a run goes on where it was, to the same bits, and every refusal says why."""
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cli"))
import tap  # noqa: E402

t = tap.Test()
t.env["PERILUNE_CHECKPOINT"] = "0.2"
LONG = ["--set", "samples=4000", "--", "one", "two words"]


def place(name):
    folder = t.path(name)
    os.mkdir(folder)
    for file in ("train.lua", "shape.lua"):
        shutil.copy(os.path.join(HERE, file), folder)
    return folder


def start(folder, *words, **env):
    return subprocess.Popen([tap.PROGRAM, *words], cwd=folder, env=dict(t.env, PERILUNE_DB="test.db", **env),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process):
    process.args, (out, err) = process.args, process.communicate(timeout=240)
    return tap.Result(subprocess.CompletedProcess(process.args, process.returncode, out, err))


def perilune(folder, *words, **env):
    return end(start(folder, *words, **env))


def query(folder, sql):
    db = sqlite3.connect(os.path.join(folder, "test.db"), timeout=20)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def wait_for_epochs(folder, run, epochs, process):
    """Until the run has this many rows."""
    for _ in range(2000):
        if process.poll() is not None:
            return False
        try:
            if query(folder, f"select count(*) from epochs where run = {run}")[0][0] >= epochs:
                return True
        except sqlite3.OperationalError:
            pass
        time.sleep(0.01)
    return False


def bits(folder):
    return (query(folder, "select ordinal, state, digest, fingerprint, exact, inexact_why from runs order by ordinal"),
            query(folder, "select r.ordinal, e.epoch, e.loss, e.accuracy, e.val_loss, e.val_accuracy, e.learning_rate,"
                          " e.grad_norm from epochs e join runs r on r.id = e.run order by 1, 2"))


undisturbed = place("undisturbed")
whole = perilune(undisturbed, "run", "train.lua", "--quiet", *LONG)
t.ok(whole.status == 0 and "arguments\tone\ttwo words" in whole.out, "the undisturbed run works", whole)
truth = bits(undisturbed)
t.ok(len(truth[0]) == 2 and all(r[3] and r[4] == 1 for r in truth[0]), "both fits have a fingerprint and are exact", truth[0])
t.ok(not [f for _, _, files in os.walk(t.path("undisturbed", "test.db.d")) for f in files if f.startswith("checkpoint")]
     and query(undisturbed, "select distinct kind from checkpoints") == [("final",)],
     "a finished run keeps its final weights and drops the checkpoint")

done = perilune(undisturbed, "resume", "2")
t.ok(done.status == 0 and done.out == "" and "run 2 is done: there is nothing to go on with" in done.err,
     "resume of a run that is done does nothing", done)

# ------------------------------------------------------------------------------------------------- signals
for number, name in ((signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")):
    folder = place(name)
    process = start(folder, "run", "train.lua", "--quiet", *LONG)
    t.ok(wait_for_epochs(folder, 1, 5, process), f"{name}: a run is under way")
    process.send_signal(number)
    stopped = end(process)
    t.ok(stopped.status == 130 and re.search(r"interrupted in epoch \d+ of 60; go on with: perilune resume 1\n", stopped.err),
         f"{name} saves, says how to go on, and exits with 130", stopped)
    t.ok(query(folder, "select state from runs") == [("interrupted",)]
         and query(folder, "select kind from checkpoints") == [("checkpoint",)], f"{name}: the run is marked and saved")
    resumed = perilune(folder, "resume", "last", "--quiet", "--threads", "1")
    t.ok(resumed.status == 0 and resumed.out == whole.out, f"{name}: resumed, the script prints the same", resumed)
    t.ok(bits(folder) == truth, f"{name}: the same bits")
    t.ok(re.match(r"in epoch \d+ of 60(, after batch \d+)?; 0 recorded epochs are computed again$",
                  query(folder, "select message from events where kind = 'resumed'")[0][0]),
         f"{name}: nothing is computed again", query(folder, "select kind, message from events"))

folder = place("twice")
process = start(folder, "run", "train.lua", "--quiet", *LONG)
wait_for_epochs(folder, 1, 2, process)
process.send_signal(signal.SIGSTOP)  # so that both are pending when it looks
process.send_signal(signal.SIGINT)
process.send_signal(signal.SIGCONT)
time.sleep(0.001)
process.send_signal(signal.SIGINT)
twice = end(process)
t.ok(twice.status in (130, -signal.SIGINT), "a second Ctrl-C quits", twice)
resumed = perilune(folder, "resume", "last", "--quiet")
t.ok(resumed.status == 0 and bits(folder) == truth, "and is resumed to the same bits all the same", resumed)

# ---------------------------------------------------------------------------------------------------- stop
folder = place("stop")
process = start(folder, "run", "train.lua", "--quiet", *LONG)
wait_for_epochs(folder, 1, 3, process)
running = perilune(folder, "resume", "last")
t.ok(running.status == 1 and f"run 1 is running (process {process.pid})" in running.err and "perilune stop 1" in running.err,
     "a running run is not resumed", running)
asked = perilune(folder, "stop", "last")
stopped = end(process)
t.ok(asked.status == 0 and stopped.status == 130 and "as was asked for; go on with: perilune resume 1" in stopped.err,
     "stop asks the run to save and end", stopped)
again = perilune(folder, "stop", "1")
t.ok(again.status == 1 and "run 1 is not running" in again.err, "what does not run is not stopped", again)
process = start(folder, "resume", "1", "--quiet")
wait_for_epochs(folder, 2, 15, process)
process.kill()
end(process)
with open(os.path.join(folder, "train.lua"), "a", encoding="utf-8") as file:
    file.write("\nerror 'this is not what was recorded'\n")
with open(os.path.join(folder, "shape.lua"), "w", encoding="utf-8") as file:
    file.write("error 'nor is this'\n")
# From another folder, named by its uuid.
uuid = query(folder, "select uuid from runs where id = 2")[0][0]
resumed = end(subprocess.Popen([tap.PROGRAM, "resume", uuid, "--db", os.path.join("stop", "test.db")], cwd=t.folder,
                               env=t.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
t.ok(resumed.status == 0 and resumed.out == whole.out and bits(folder) == truth,
     "resumed twice, from another folder, the last time with changed files: the same bits", resumed)
t.ok("note: train.lua has changed since; its recorded text is executed" in resumed.err, "that the script has changed is said")
t.ok(re.search(r"run 1 is done: \d+ epochs taken from the database", resumed.err)
     and re.search(r"run 2 goes on in epoch \d+ of 60", resumed.err), "what happens to each fit is said", resumed)
t.ok(query(folder, "select count(*), count(distinct ordinal) from runs") == [(2, 2)], "no run is doubled")
launches = query(folder, "select id, resumes, exit, overrides from launches order by id")
t.ok([row[1] for row in launches] == [None, 1, 2] and launches[2][2] == 0 and len({row[3] for row in launches}) == 1,
     "launches name the one that they go on from", launches)

# ---------------------------------------------------------------------------- refused, and what is not the same
SMALL = """
local lab = require "perilune"
local nn = lab.nn
lab.experiment { seed = 4 }
local file = io.open("number.txt")
local number = tonumber(file:read "a")
file:close()
local inputs, targets = {}, {}
for i = 1, 64 do
   inputs[i] = { math.sin(i * number), math.cos(i) }
   targets[i] = i % 2
end
local log
local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 8, activation = "tanh" },
   nn.Dense { units = 2, activation = "softmax" } }
model:compile { optimizer = lab.optim.SGD { learning_rate = lab.param("learning_rate", 0.1) },
   loss = "sparse_categorical_crossentropy" }
model:fit { lab.data.table { inputs = inputs, targets = targets }, epochs = lab.param("epochs", 30), verbose = false,
   on_epoch = function(e)
      if LOGGED then log = log or io.open("log.txt", "w") end
      if e.epoch == 12 and os.getenv "DIE" then os.execute("kill -9 $PPID") end
   end }
"""


def small(name, text=SMALL, number="1"):
    folder = t.path(name)
    os.mkdir(folder)
    for file, content in (("small.lua", text), ("number.txt", number)):
        with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
            out.write(content)
    return folder


def lost(name, text=SMALL, *words):
    folder = small(name, text)
    dead = perilune(folder, "run", "small.lua", *words, DIE="1")
    t.ok(dead.status == -signal.SIGKILL, f"{name}: killed", dead)
    return folder


folder = lost("data")
with open(os.path.join(folder, "number.txt"), "w", encoding="utf-8") as out:
    out.write("2")
other = perilune(folder, "resume", "last")
t.ok(other.status == 1 and "this fit is not the one that run 1 recorded: the train data differs; perilune run trains anew"
     in other.err, "other data are refused, by name", other)
t.ok(perilune(folder, "runs", "--json").json()[0]["state"] == "lost", "and the run stays as it was")
with open(os.path.join(folder, "number.txt"), "w", encoding="utf-8") as out:
    out.write("1")
t.ok(perilune(folder, "resume", "last").status == 0, "with the old data it goes on")

folder = lost("killed early", SMALL.replace("epoch == 12", "epoch == 1"), "--set", "learning_rate=0.25", "--seed", "9")
resumed = perilune(folder, "resume", "last")
t.ok(resumed.status == 0 and "run 1 goes on from the beginning, without a checkpoint; 1 recorded epoch is computed again"
     in resumed.err, "without a checkpoint it begins anew", resumed)
t.ok(query(folder, "select p.value, p.source, r.seed, r.exact from params p join runs r on r.id = p.run"
                   " where p.name = 'learning_rate'") == [(0.25, "command line", 9, 1)], "--set and --seed are kept")

folder = lost("row")
db = sqlite3.connect(os.path.join(folder, "test.db"))
db.execute("update epochs set loss = loss + 1e-15 where epoch = 12")
db.commit()
db.close()
resumed = perilune(folder, "resume", "last")
why = query(folder, "select exact, inexact_why from runs")
t.ok(resumed.status == 0 and resumed.err.count("differs from its row") == 1 and why[0][0] == 0
     and re.match(r"epoch 12, computed again, differs from its row: loss was 0\.\d+ and is 0\.\d+ now$", why[0][1]),
     "a row that is not met again is said, and the run marked inexact", (resumed, why))

folder = lost("folder")
os.rename(folder, folder + " moved")
gone = perilune(folder + " moved", "resume", "last")
t.ok(gone.status == 1 and "cannot go to the folder that the script ran in" in gone.err, "a folder that is gone", gone)

folder = lost("file", SMALL.replace("LOGGED", "true"))
resumed = perilune(folder, "resume", "last", PERILUNE_CHECKPOINT="0")
why = query(folder, "select exact, inexact_why from runs")
t.ok(resumed.status == 0 and why == [(0, "on_epoch: 'log' is a file, which no checkpoint can hold")],
     "a file in a variable is named, and the run marked inexact", (resumed, why))

folder = small("unknown", SMALL.replace("local log\n", "local log = io.stderr and io.open('x', 'w')\n").replace(
    "LOGGED then log = log or", "log == 1 then log ="))
unknown = perilune(folder, "run", "small.lua")
t.ok(unknown.status == 0 and "no fingerprint" in unknown.err and "upvalue 'log' of on_epoch is a file" in unknown.err
     and query(folder, "select fingerprint from runs") == [(None,)],
     "what cannot be hashed leaves the run without fingerprint, aloud", unknown)

nothing = perilune(folder, "resume", "77")
t.ok(nothing.status == 1 and 'there is no run "77"' in nothing.err, "a run that is not there", nothing)
t.ok(perilune(small("empty"), "resume", "last").status == 1, "a database that is not there")
t.done()
