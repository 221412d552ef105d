#!/usr/bin/env python3
"""Lets allocations and writes fail, one at a time, while a net is trained, recorded and resumed.

    tests/fault/memory.py [SAMPLES | all] [--seed N] [--library failing.so] [--perilune FILE]

For each of some (or all) n, the n-th allocation (the engine's, Lua's, SQLite's, everybody's) or the n-th write to a file
fails, in a run and in a resume of a killed run; also all from the n-th on.  The process must end by itself, with status 0
or with status 1 and a message; afterwards, without failures, the run is resumed (or begun, when nothing was recorded) and must
come to the undisturbed digest, and the database must be sound.  Prints TAP.
"""
import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


class Wrong(Exception):
    pass


class Harness:
    def __init__(self, program, library, root):
        self.program, self.library, self.root = program, library, root
        self.env = dict(os.environ, PERILUNE_DB="test.db", PERILUNE_CHECKPOINT="0", PERILUNE_THREADS="2")
        self.templates = {"run": self.template("run"), "resume": self.template("resume")}
        first = self.perilune(self.templates["resume"], "run", DIE="1")
        if first.returncode != -9:
            raise Wrong("the run that is to be resumed was not killed: %s" % first.stderr.decode())
        clean = self.copy("run")
        self.truth_output = self.perilune(clean, "run").stdout
        self.truth = self.digest(clean)
        shutil.rmtree(clean)

    def template(self, name):
        folder = os.path.join(self.root, name)
        os.mkdir(folder)
        shutil.copy(os.path.join(HERE, "tiny.lua"), folder)
        return folder

    def copy(self, stage):
        """A folder of the same name each time, because launches keep it."""
        folder = os.path.join(self.root, "work")
        shutil.copytree(self.templates[stage], folder)
        if stage == "resume":
            db = sqlite3.connect(os.path.join(folder, "test.db"))
            db.execute("update launches set folder = ?", (folder,))
            db.commit()
            db.close()
        return folder

    def perilune(self, folder, stage, **env):
        words = ["run", "tiny.lua"] if stage == "run" else ["resume", "last"]
        return subprocess.run([self.program, *words], cwd=folder, env=dict(self.env, **env), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)

    def failing(self, folder, stage, what, at, on):
        return self.perilune(folder, stage, LD_PRELOAD=self.library, FAIL_WHAT=what, FAIL_AT=str(at),
                             FAIL_COUNT=os.path.join(self.root, "count"), **({"FAIL_ON": "1"} if on else {}))

    def count(self, stage, what):
        """How many allocations or writes there are without a failure."""
        folder = self.copy(stage)
        result = self.failing(folder, stage, what, 0, False)
        shutil.rmtree(folder)
        if result.returncode != 0:
            raise Wrong("without failures: %s" % result.stderr.decode())
        with open(os.path.join(self.root, "count"), encoding="ascii") as file:
            return int(file.read())

    def digest(self, folder):
        path = os.path.join(folder, "test.db")
        if not os.path.exists(path) or os.path.getsize(path) == 0:
            return []
        db = sqlite3.connect(path)
        try:
            if db.execute("pragma integrity_check").fetchall() != [("ok",)]:
                raise Wrong("the database is damaged: %s" % db.execute("pragma integrity_check").fetchall())
            if not db.execute("select 1 from sqlite_schema where name = 'runs'").fetchall():
                return []
            return db.execute("select r.state, r.digest, (select count(*) from epochs e where e.run = r.id) from runs r"
                              " order by r.id").fetchall()
        finally:
            db.close()

    def once(self, stage, what, at, on):
        """One failure; returns whether it was noticed."""
        folder = self.copy(stage)
        try:
            hit = self.failing(folder, stage, what, at, on)
            if hit.returncode not in (0, 1):
                raise Wrong("it ended with status %d: %s" % (hit.returncode, hit.stderr.decode(errors="replace")))
            if hit.returncode == 1 and not hit.stderr.strip():
                raise Wrong("it failed without a message")
            before = self.digest(folder)
            if not before or before[-1][0] != "done":
                stage_now = "resume" if before else "run"
                healed = self.perilune(folder, stage_now)
                if healed.returncode != 0:
                    raise Wrong("afterwards, %s: %s (it had said: %s)" % (
                        stage_now, healed.stderr.decode(errors="replace"), hit.stderr.decode(errors="replace")))
                if healed.stdout != self.truth_output:
                    raise Wrong("afterwards it printed %r" % healed.stdout)
            elif hit.returncode == 0 and hit.stdout != self.truth_output:
                raise Wrong("it printed %r" % hit.stdout)
            after = self.digest(folder)
            if after != self.truth:
                raise Wrong("afterwards %r, undisturbed %r (it had said: %s)" % (
                    after, self.truth, hit.stderr.decode(errors="replace")))
            return hit.returncode == 1
        finally:
            shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", nargs="?", default="40")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at", type=int)
    parser.add_argument("--library", default=os.environ.get("PERILUNE_FAILING"))
    parser.add_argument("--perilune", default=os.environ.get("PERILUNE_PROGRAM", "perilune"))
    options = parser.parse_args()
    if not options.library:
        parser.error("--library FILE or $PERILUNE_FAILING names failing.so")
    chance = random.Random(options.seed)
    root = tempfile.mkdtemp(prefix="perilune-memory-")
    harness = Harness(os.path.abspath(shutil.which(options.perilune) or options.perilune),
                      os.path.abspath(options.library), root)
    number = failed = 0
    for what, on in (("memory", False), ("write", False), ("memory", True), ("write", True)):
        for stage in ("run", "resume"):
            total, number = harness.count(stage, what), number + 1
            places = range(1, total + 1)
            if options.at:
                places = [options.at]
            elif options.samples != "all" and int(options.samples) < total:
                places = sorted(chance.sample(places, int(options.samples)))
            wrong, noticed = [], 0
            for at in places:
                try:
                    noticed += harness.once(stage, what, at, on)
                except (Wrong, subprocess.TimeoutExpired) as why:
                    wrong.append("%s number %d: %s" % (what, at, why))
                    print("# " + wrong[-1].replace("\n", "\n# "))
            name = "%s: %s %s of %d fails, %d tried, %d times with status 1" % (
                stage, what, "all from the n-th on" if on else "the n-th", total, len(places), noticed)
            print("%s %d - %s" % ("not ok" if wrong else "ok", number, name))
            failed += bool(wrong)
            sys.stdout.flush()
    print("1..%d" % number)
    shutil.rmtree(root)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
