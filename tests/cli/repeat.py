"""The same script with the same seed ends in the same bits: any number of threads, another folder, another locale."""
import os
import subprocess

import tap

t = tap.Test()


def digest(database, *words, env=None, folder=None):
    """Trains with a database of its own; digest|fingerprint of the run."""
    path = t.path(database)
    out = t.run("run", t.path("train.lua"), "--quiet", "--db", path, *words, env=env, cwd=folder)
    if out.status != 0:
        return str(out), None
    return subprocess.run(["sqlite3", path, "select digest, fingerprint from runs"], capture_output=True, text=True,
                          check=True).stdout.strip(), out


with open(t.path("train.lua"), "w", encoding="utf-8") as file:
    file.write(tap.SCRIPT.replace("nn.Flatten {},",
                                  "nn.Conv2D { filters = 4, kernel_size = 3 }, nn.Flatten {}, nn.Dropout { rate = 0.2 },"))
first, _ = digest("one.db", "--threads", "1")
t.ok(len(first) == 129, "a run has a digest and a fingerprint", first)
for threads in (2, 3, 7, 64):
    other, _ = digest(f"threads{threads}.db", "--threads", str(threads))
    t.ok(other == first, f"the same digest with {threads} threads", f"{first}\n{other}")
os.makedirs(t.path("elsewhere/数字"))
other, _ = digest("folder.db", folder=t.path("elsewhere/数字"))
t.ok(other == first, "the same digest in another folder", f"{first}\n{other}")
made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", t.path("de_DE.UTF-8")], capture_output=True, check=False)
if os.path.isdir(t.path("de_DE.UTF-8")):
    other, _ = digest("locale.db", env={"LOCPATH": t.folder, "LC_ALL": "de_DE.UTF-8"})
    t.ok(other == first, "the same digest under a locale with decimal commas", f"{first}\n{other}")
other, _ = digest("seed.db", "--seed", "8")
t.ok(other != first and len(other) == 129, "another seed, another digest", f"{first}\n{other}")
t.done()
