"""What README.md shows works: its script, its queries, its plugin, its commands."""
import os
import re
import shutil
import sqlite3
import subprocess

import tap

root = os.environ["PERILUNE_SOURCE"]
t = tap.Test()
with open(os.path.join(root, "README.md"), encoding="utf-8") as f:
    readme = f.read()
blocks = re.findall(r"^```(\w+)\n(.*?)^```$", readme, re.M | re.S)


def first(kind):
    return next(text for k, text in blocks if k == kind)


def write(name, text):
    with open(t.path(name), "w", encoding="utf-8") as out:
        out.write(text)


# ----------------------------------------------------------------------------------------------------- the script
write("first.lua", first("lua"))
for words in ([], ["--set", "learning_rate=0.01", "--set", "units=128"]):
    ran = t.run("run", "first.lua", *words)
    accuracy = re.search(r"test accuracy (0\.\d+)", ran.out)
    t.ok(ran.status == 0 and accuracy and float(accuracy.group(1)) > 0.85, f"the first script learns {words}", ran)
t.ok(os.path.exists(t.path("first.safetensors")), "and saves its model")

# ---------------------------------------------------------------------------------------------------- the queries
database = sqlite3.connect(t.path("test.db"))
for query in [q.strip() for q in first("sql").split(";") if q.strip()]:
    rows = database.execute(query).fetchall()
    t.ok(len(rows) > 0 and None not in rows[0], "query: " + query.split("\n")[0], rows)

# ----------------------------------------------------------------------------------------------------- the plugin
write("snake.c", first("c"))
compile_line = re.search(r"^cc .*snake\.so$", readme, re.M).group(0)
if shutil.which("cc"):
    built = subprocess.run(compile_line.replace("engine/include", os.path.join(root, "engine", "include")) + " -Wall -Werror",
                           shell=True, cwd=t.folder, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    t.ok(built.returncode == 0, "the first plugin compiles", built.stderr.decode())
    told = t.run("plugins", "Snake", "--plugins", ".")
    t.ok(told.status == 0 and "frequency of the ripple" in told.out, "and tells its options", told)
    write("script.lua", tap.SCRIPT.replace('activation = "relu" },', "}, nn.Snake { a = 2 },"))
    ran = t.run("run", "script.lua", "--plugins", ".", "--quiet")
    score = t.run("runs", "--limit", "1", "--json").json()[0]["score"]
    t.ok(ran.status == 0 and score > 0.6, "and learns", (ran, score))

# --------------------------------------------------------------------------------------------------- the commands
top = t.run("--help").out
named = set(re.findall(r"^perilune (\w+)", "\n".join(text for kind, text in blocks if kind == "sh"), re.M))
known = set(re.findall(r"^  (\w+) ", top, re.M))
t.ok(named and named <= known, f"the README's commands exist: {' '.join(sorted(named))}", named - known)
for path in re.findall(r"\]\(([^)#:]+)\)", readme):
    t.ok(os.path.exists(os.path.join(root, path)), f"{path} exists")
t.done()
