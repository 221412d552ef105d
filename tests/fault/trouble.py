"""A database that is locked, read-only, full, somebody else's or newer; two runs at once.  Nothing recorded is lost."""
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cli"))
import tap  # noqa: E402

t = tap.Test()
WORDS = ["run", "train.lua", "--quiet", "--set", "epochs=30"]


def place(name):
    folder = t.path(name)
    os.mkdir(folder)
    fill(folder)
    return folder


def fill(folder):
    for file in ("train.lua", "shape.lua"):
        shutil.copy(os.path.join(HERE, file), folder)


def start(folder, *words, **options):
    env = dict(t.env, PERILUNE_DB="test.db", **options.pop("env", {}))
    return subprocess.Popen([tap.PROGRAM, *words], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def end(process):
    out, err = process.communicate(timeout=240)
    return tap.Result(subprocess.CompletedProcess(process.args, process.returncode, out, err))


def perilune(folder, *words, **options):
    return end(start(folder, *words, **options))


def connect(folder):
    return sqlite3.connect(os.path.join(folder, "test.db"), isolation_level=None, check_same_thread=False, timeout=20)


def query(folder, sql):
    db = connect(folder)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def bits(folder, where=""):
    return query(folder, "select r.ordinal, r.state, r.digest, count(e.epoch), sum(e.epoch), total(e.loss),"
                         " total(e.val_loss) from runs r join epochs e on e.run = r.id %s group by r.id order by 1" % where)


def sound(folder):
    return query(folder, "pragma integrity_check") == [("ok",)]


undisturbed = place("undisturbed")
whole = perilune(undisturbed, *WORDS)
truth = bits(undisturbed)
t.ok(whole.status == 0 and len(truth) == 2, "the undisturbed run works", whole)

# --------------------------------------------------------------------------------------------------- locked
folder = place("locked for good")
perilune(folder, "run", "train.lua", "--quiet", "--set", "epochs=1")
holder = connect(folder)
holder.execute("begin immediate")
held = perilune(folder, *WORDS)
t.ok(held.status == 0 and held.out == whole.out, "a run goes on while somebody holds the database", held)
t.ok("records wait in" in held.err and "/spill/" in held.err, "what could not be committed is spilled, aloud", held)
holder.execute("rollback")
holder.close()
listed = perilune(folder, "runs")
t.ok("are not in" in listed.err or "wait" in listed.err, "a command that reads says that records wait", listed)
tagged = perilune(folder, "tag", "last", "late")
t.ok(tagged.status == 0 and bits(folder, "where r.launch = 2") == truth and sound(folder),
     "the next command that writes merges them, with the same bits", (tagged, bits(folder)))

folder = place("locked for a while")
perilune(folder, "run", "train.lua", "--quiet", "--set", "epochs=1")
holder = connect(folder)
holder.execute("begin immediate")
process = start(folder, *WORDS)
threading.Timer(0.3, lambda: holder.execute("rollback")).start()
freed = end(process)
t.ok(freed.status == 0 and bits(folder, "where r.launch = 2") == truth and "spill" not in freed.err and sound(folder),
     "a database that is freed during the run gets everything", freed)
holder.close()

# A long run, because a checkpoint may take 1 % of the time.
LONG = ["run", "train.lua", "--quiet", "--set", "samples=10000", "--set", "patience=60"]
folder = place("undisturbed long")
long_run = perilune(folder, *LONG)
long_truth = bits(folder)
folder = place("locked and killed")
process = start(folder, *LONG, env={"PERILUNE_CHECKPOINT": "0"})
while process.poll() is None:
    try:
        if query(folder, "select count(*) from epochs")[0][0] >= 2:
            break
    except sqlite3.OperationalError:
        pass
    time.sleep(0.005)
holder = connect(folder)
holder.execute("begin immediate")
rows = query(folder, "select r.id, count(e.epoch), r.uuid from runs r left join epochs e on e.run = r.id group by 1")
saved = os.path.join(folder, "test.db.d", rows[-1][2], "checkpoint.safetensors")
began = time.time()
while process.poll() is None and not (os.path.exists(saved) and os.stat(saved).st_mtime > began + 0.3):
    time.sleep(0.005)
alive = process.poll() is None
process.kill()
end(process)
holder.execute("rollback")
holder.close()
resumed = perilune(folder, "resume", "last", "--quiet")
events = query(folder, "select message from events where kind = 'resumed'")
t.ok(alive and resumed.status == 0 and resumed.out == long_run.out and bits(folder) == long_truth and sound(folder),
     "epochs that nobody could commit travel in the checkpoint", (alive, rows, resumed, events))
where = re.match(r"(?:in|after) epoch (\d+).*; 0 recorded epochs", events[0][0] or "") if events else None
t.ok(where and int(where.group(1)) > rows[-1][1] + 1, "and are not computed again", (rows, events))

# -------------------------------------------------------------------------------------------- two at once
folder = place("two at once")
pair = [start(folder, *WORDS) for _ in range(2)]
both = [end(process) for process in pair]
t.ok(all(r.status == 0 and r.out == whole.out for r in both), "two runs record into one database at once", both[0])
t.ok(query(folder, "select launch, count(*), count(distinct digest), min(state), max(state) from runs group by launch")
     == [(1, 2, 2, "done", "done"), (2, 2, 2, "done", "done")]
     and query(folder, "select count(distinct digest) from runs") == [(2,)] and sound(folder),
     "and each has all of its own", query(folder, "select id, launch, state, digest from runs"))

# ------------------------------------------------------------------------------------- somebody else's, newer
folder = place("foreign")
db = connect(folder)
db.execute("create table recipes(name)")
db.close()
before = open(os.path.join(folder, "test.db"), "rb").read()
foreign = perilune(folder, *WORDS)
t.ok(foreign.status == 1 and "test.db" in foreign.err and open(os.path.join(folder, "test.db"), "rb").read() == before,
     "a database of another program is refused and left alone", foreign)
folder = place("no database")
with open(os.path.join(folder, "test.db"), "w", encoding="utf-8") as file:
    file.write("dear diary, today I have trained a net\n" * 100)
refused = perilune(folder, *WORDS)
t.ok(refused.status == 1 and "test.db" in refused.err, "a file that is no database is refused", refused)
folder = place("newer")
perilune(folder, "run", "train.lua", "--quiet", "--set", "epochs=1")
query(folder, "pragma user_version = 9999")
newer = perilune(folder, *WORDS)
t.ok(newer.status == 1 and "newer" in newer.err, "a database of a newer program is not written", newer)
resumed = perilune(folder, "resume", "last")
t.ok(resumed.status == 1 and "newer" in resumed.err, "nor resumed from", resumed)

# ----------------------------------------------------------------------------------------------- read-only
NOBODY = 65534


def as_nobody():
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def may_run_as_nobody():
    if os.getuid() != 0:
        return True
    os.chmod(t.folder, 0o755)
    try:
        return subprocess.run([tap.PROGRAM, "--help"], preexec_fn=as_nobody, cwd=t.folder, env=t.env,
                              capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if may_run_as_nobody():
    become = as_nobody if os.getuid() == 0 else None
    folder = place("read-only")
    os.chmod(folder, 0o555)
    refused = perilune(folder, *WORDS, preexec_fn=become)
    t.ok(refused.status == 1 and "test.db" in refused.err and "you may not write" in refused.err
         and not os.path.exists(os.path.join(folder, "test.db")), "a folder that may not be written is named", refused)
    os.chmod(folder, 0o777)
    perilune(folder, "run", "train.lua", "--quiet", "--set", "epochs=1", preexec_fn=become)
    os.chmod(os.path.join(folder, "test.db"), 0o444)
    refused = perilune(folder, *WORDS, preexec_fn=become)
    t.ok(refused.status == 1 and "test.db" in refused.err, "a file that may not be written is named", refused)
    os.chmod(os.path.join(folder, "test.db"), 0o644)
else:
    t.count += 1
    print(f"ok {t.count} - read-only folders # SKIP the program cannot be run as another user from here")

# ------------------------------------------------------------------------------------------------ full disk


def mount(folder, *words):
    return os.getuid() == 0 and subprocess.run(["mount", *words, folder], capture_output=True, check=False).returncode == 0


folder = t.path("full")
os.mkdir(folder)
if mount(folder, "-t", "tmpfs", "-o", "size=400k", "tmpfs"):
    try:
        fill(folder)
        full = perilune(folder, *WORDS, env={"PERILUNE_CHECKPOINT": "0"})
        t.ok(full.status == 1 and ("no space left" in full.err.lower() or "is full" in full.err) and folder in full.err,
             "a full disk stops the run and is named", full)
        for name in os.listdir(folder):  # whoever frees space may delete what is not ours
            if name.endswith(".csv"):
                os.unlink(os.path.join(folder, name))
        committed = query(folder, "select count(*) from epochs") if os.path.exists(os.path.join(folder, "test.db")) else None
        t.ok(committed and committed[0][0] > 0 and sound(folder), "what was committed stays", committed)
        mount(folder, "-o", "remount,size=64m")
        resumed = perilune(folder, "resume", "last", "--quiet")
        t.ok(resumed.status == 0 and resumed.out == whole.out and bits(folder) == truth and sound(folder),
             "with space again it is resumed to the same bits", (resumed, bits(folder), truth))
    finally:
        subprocess.run(["umount", folder], check=False)
else:
    t.count += 1
    print(f"ok {t.count} - a full disk # SKIP no file system can be mounted here")
t.done()
