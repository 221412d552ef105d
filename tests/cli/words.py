"""tag, note, stop, rm, gc, export: words to runs, and files."""
import os
import time

import tap

t = tap.Test()
for _ in range(3):
    t.train()
uuids = {r["id"]: r["uuid"] for r in t.run("runs", "--json").json()}

# -------------------------------------------------------------------------------------------------- tag, note
t.ok(t.run("tag", "2", "good", "fast").status == 0, "tag works")
t.ok([r["id"] for r in t.run("runs", "--tag", "good", "--json").json()] == [2], "runs --tag finds it")
t.run("tag", "2", "good", "--remove")
t.ok(t.run("show", "2", "--json").json()["tags"] == ["fast", "small"], "tag --remove takes one away")
t.ok(t.run("note", "2", "the", "first", "one").status == 0 and "the first one" in t.run("show", "2").out, "note works")
odd = t.run("note", "2", "a\x1b[31mred\nline")
t.ok("\x1b" not in t.run("show", "2").out, "control characters of a note do not reach the terminal")
gone = t.run("tag", "99", "x")
t.ok(gone.status == 1 and "99" in gone.err, "a tag for a run that is not there", gone)
stopped = t.run("stop", "1")
t.ok(stopped.status == 1 and "run 1 is not running" in stopped.err, "stop of a run that has ended", stopped)

# ----------------------------------------------------------------------------------------------------- export
out = t.run("export", "1", "--output", "net.safetensors")
t.ok(out.status == 0 and os.path.exists(t.path("net.safetensors")), "export writes a file", out)
t.ok(t.run("export", "1").status == 0 and os.path.exists(t.path("quick-1.safetensors")), "and finds a name itself")
t.run("data", "image", "digits", "4", "--output", "d.png")
a = t.run("predict", "d.png", "--model", "1", "--json").json()[0]["probabilities"]
b = t.run("predict", "d.png", "--model", "net.safetensors", "--json").json()[0]["probabilities"]
t.ok(a == b, "the exported model gives the same answers", (a, b))
nowhere = t.run("export", "1", "--output", "no/such/folder/net.safetensors")
t.ok(nowhere.status == 1 and "no/such/folder" in nowhere.err, "export into a folder that is not there", nowhere)

# -------------------------------------------------------------------------------------------------------- rm
folder = t.path("test.db.d", uuids[2])
asked = t.run("rm", "2")
t.ok(asked.status == 0 and "nothing was removed" in asked.out and os.path.isdir(folder), "rm lists before it removes", asked)
done = t.run("rm", "2", "--yes")
t.ok(done.status == 0 and not os.path.exists(folder) and t.run("show", "2").status == 1, "rm --yes removes rows and files", done)
t.ok([r["id"] for r in t.run("runs", "--json").json()] == [3, 1], "the others stay")

# -------------------------------------------------------------------------------------------------------- gc
orphan = t.path("test.db.d", "01234567-89ab-4cde-8f01-23456789abcd")
os.mkdir(orphan)
with open(os.path.join(orphan, "final.safetensors"), "wb") as f:
    f.write(bytes(2048))
young = t.run("gc")
t.ok("no files without a run" in young.out, "gc leaves young folders alone", young)
old = time.time() - 7200
os.utime(orphan, (old, old))
listed = t.run("gc")
t.ok(listed.status == 0 and orphan in listed.out and "2.00 KB could be freed" in listed.out and os.path.isdir(orphan),
     "gc lists before it removes", listed)
freed = t.run("gc", "--yes")
t.ok(freed.status == 0 and not os.path.exists(orphan) and os.path.isdir(t.path("test.db.d", uuids[1])),
     "gc --yes removes what no run owns, and nothing else", freed)
t.done()
