"""plugins, data and doctor."""
import gzip
import os
import struct

import tap

t = tap.Test()

# ---------------------------------------------------------------------------------------------------- plugins
listed = t.run("plugins")
t.ok(listed.status == 0 and listed.err == "", "plugins works", listed)
for words in ("layers\n", "optimizers\n", "losses\n", "metrics\n", "  Conv2D ", "  Adam ", "  sparse_categorical_accuracy"):
    t.ok(words in listed.out, f"plugins lists {words.strip()}", listed)
t.ok("SGD" not in t.run("plugins", "--kind", "layers").out, "--kind chooses")
kind = t.run("plugins", "--kind", "layerz")
t.ok(kind.status == 2 and "layerz" in kind.err, "a kind that is none", kind)
one = t.run("plugins", "Conv2D")
t.ok(one.status == 0 and "kernel_size" in one.out and "valid, same" in one.out and "required" in one.out,
     "plugins NAME tells the options", one)
near = t.run("plugins", "Conv2d")
t.ok(near.status == 1 and "did you mean 'Conv2D'?" in near.err, "a near name", near)
told = t.run("plugins", "Dropout", "--json").json()
t.ok(len(told) == 1 and told[0]["kind"] == "layer" and told[0]["options"][0]["name"] == "rate"
     and told[0]["options"][0]["required"] is True and os.path.exists(told[0]["file"]), "plugins NAME --json", told)
everything = t.run("plugins", "--json").json()
t.ok(len(everything) > 30 and {p["kind"] for p in everything} == {"layer", "optimizer", "loss", "metric"}, "plugins --json")
os.mkdir(t.path("mine"))
with open(t.path("mine", "bad.so"), "wb") as f:
    f.write(b"not a shared object")
bad = t.run("plugins", "--plugins", "mine", "--kind", "losses")
t.ok(bad.status == 0 and "bad.so" in bad.err and "huber" in bad.out, "a broken file is told, the others are listed", bad)
files = t.run("plugins", "--files", env={"COLUMNS": "200"})
t.ok("dense.so" in files.out, "--files tells files", files)

# ------------------------------------------------------------------------------------------------------- data
nothing = t.run("data")
t.ok(nothing.status == 0 and "not found" in nothing.out and "digits" in nothing.out, "data without files", nothing)
how = t.run("data", "image", "mnist", "1")
t.ok(how.status == 1 and "was not found" in how.err and "PERILUNE_DATA" in how.err, "a set that is nowhere: how to get it", how)
os.mkdir(t.path("data"))
made = t.run("data", "make", "digits", "--count", "60", "--seed", "5", "--output", t.path("data", "mnist"))
t.ok(made.status == 0 and "60 training and 10 test digits" in made.out, "data make writes digits", made)
with open(t.path("data", "mnist", "train-images-idx3-ubyte"), "rb") as f:
    images = f.read()
with open(t.path("data", "mnist", "train-labels-idx1-ubyte"), "rb") as f:
    labels = f.read()
t.ok(struct.unpack(">IIII", images[:16]) == (0x803, 60, 28, 28) and len(images) == 16 + 60 * 784
     and struct.unpack(">II", labels[:8]) == (0x801, 60) and sorted(labels[8:]) == sorted(list(range(10)) * 6),
     "they are IDX files, all digits equally often")
found = t.run("data", "--json").json()
t.ok(found[0]["name"] == "mnist" and found[0]["train"] == 60 and found[0]["test"] == 10 and found[0]["shape"] == "28x28x1"
     and found[1]["folder"] is None, "data --json finds them", found)
t.run("data", "image", "mnist", "3", "--output", "a.png")
t.run("data", "image", "digits", "3", "--seed", "5", "--output", "b.png")
with open(t.path("a.png"), "rb") as a, open(t.path("b.png"), "rb") as b:
    t.ok(a.read() == b.read(), "a sample from the file is the sample that was drawn")
beyond = t.run("data", "image", "mnist", "61")
t.ok(beyond.status == 1 and "1 to 60, not 61" in beyond.err, "a sample that is not there", beyond)
for words in (["image", "mnst", "1"], ["image", "mnist", "zero"], ["image", "mnist", "0"], ["make", "letters"], ["lsit"]):
    wrong = t.run("data", *words)
    t.ok(wrong.status == 2 and wrong.out == "", f"data {' '.join(words)} is misuse", wrong)
with open(t.path("data", "mnist", "t10k-images-idx3-ubyte"), "r+b") as f:
    f.truncate(1000)
cut = t.run("data")
t.ok(cut.status == 0 and "is truncated" in " ".join(cut.out.split()), "a damaged set is told in the list", cut)
damaged = t.run("data", "image", "mnist", "1", "--test")
t.ok(damaged.status == 1 and "t10k-images-idx3-ubyte" in damaged.err, "and named when it is used", damaged)

# ----------------------------------------------------------------------------------------------------- doctor
healthy = t.run("doctor", env={"PERILUNE_DATA": t.path("none")})
t.ok(healthy.status == 0 and "ready: everything" in healthy.out, "doctor finds this machine ready", healthy)
for words in ("Lua ", "SQLite ", "libpng ", "GFLOP/s", "layers", "the same bits with 1 and 2"):
    t.ok(words in healthy.out, f"doctor tells {words.strip()}", healthy)
t.ok(not [n for n in os.listdir(t.folder) if "doctor" in n], "doctor leaves nothing behind", os.listdir(t.folder))
with open(t.path("broken.db"), "wb") as f:
    f.write(b"no database at all" * 100)
ill = t.run("doctor", "--quick", "--json", "--db", "broken.db")
verdict = ill.json()
t.ok(ill.status == 1 and verdict["ready"] is False
     and [x["what"] for x in verdict["findings"] if x["level"] == "bad"] == ["database"], "doctor finds a broken database", ill)
t.done()
