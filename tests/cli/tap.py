"""What the tests of the program share: TAP output, a folder and an environment of their own, pictures.

    import tap
    t = tap.Test()                      # a temporary folder, in which everything happens
    out = t.run("runs", "--json")       # .status .out .err
    t.ok(out.status == 0, "runs lists what was recorded", out)
    t.done()

Paths of the program and of its plugins come from the environment (see meson.build).  Standard library only.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

PROGRAM = os.environ["PERILUNE_PROGRAM"]

# A net that learns drawn digits in a fraction of a second.
SCRIPT = """
local lab = require "perilune"
local nn = lab.nn
lab.experiment { name = lab.param("name", "quick"), seed = 7, tags = { "small" } }
local train, test = lab.data.digits { count = 600, seed = 1 }, lab.data.digits { count = 100, seed = 2 }
local model = nn.Sequential {
   nn.Input { 28, 28, 1 }, nn.Flatten {},
   nn.Dense { units = lab.param("units", 32), activation = "relu" },
   nn.Dense { units = 10, activation = "softmax" },
}
model:compile { optimizer = lab.optim.Adam { learning_rate = lab.param("learning_rate", 3e-3) },
   loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
model:fit { train, validation_split = 1 / 6, epochs = lab.param("epochs", 4), batch_size = 20 }
model:evaluate(test)
"""


class Result:
    def __init__(self, process):
        self.status = process.returncode
        self.out = process.stdout.decode("utf-8", "replace")
        self.err = process.stderr.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"status {self.status}\n--- stdout\n{self.out}--- stderr\n{self.err}"


class Test:
    def __init__(self):
        self.count = self.failures = 0
        self.folder = tempfile.mkdtemp(prefix="perilune-cli-")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("PERILUNE_", "XDG_", "LC_")) and k not in ("LANG", "NO_COLOR", "COLUMNS")}
        self.env.update(
            PERILUNE_DB=self.path("test.db"), PERILUNE_DATA=self.path("data"), XDG_CACHE_HOME=self.path("cache"),
            XDG_DATA_HOME=self.path("share"), HOME=self.folder, LC_ALL="C.UTF-8", TMPDIR=self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run(self, *words, env=None, stdin=b"", **options):
        everything = dict(self.env, **(env or {}))
        options["cwd"] = options.get("cwd") or self.folder
        return Result(subprocess.run([PROGRAM, *words], env=everything, input=stdin, timeout=240,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options))

    def train(self, *words):
        """A short run of SCRIPT; its settings as words ("--set", "units=8")."""
        with open(self.path("quick.lua"), "w", encoding="utf-8") as f:
            f.write(SCRIPT)
        result = self.run("run", "quick.lua", "--quiet", *words)
        if result.status != 0:
            self.ok(False, "the short run works", result)
            self.done()
        return result

    def ok(self, good, name, shown=None):
        self.count += 1
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}")
        if not good:
            self.failures += 1
            for line in str(shown if shown is not None else "").splitlines():
                print(f"# {line}")
        sys.stdout.flush()
        return good

    def done(self):
        print(f"1..{self.count}")
        shutil.rmtree(self.folder, ignore_errors=True)
        sys.exit(1 if self.failures else 0)


def write_png(path, width, height, pixel):
    """A gray PNG of pixel(x, y)."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(pixel(x, y) for x in range(width)) for y in range(height))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
