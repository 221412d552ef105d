#!/usr/bin/env python3
"""Kills a short run at random moments (SIGKILL) and resumes it until it is done; the result must be the undisturbed one.

    tests/fault/kills.py [KILLS] [--seed N] [--perilune FILE]

Each round begins in an empty folder and is killed one to four times.  Checked are: every line that the script prints, the
digest of each fit and every epoch's row (times apart), the file that a callback writes, that no more epochs were computed
again than the age of the checkpoint allows, that no run is lost or doubled, and SQLite's integrity check.
Prints TAP.  $PERILUNE_PROGRAM names the program.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DATABASE = "perilune.db"
SCRIPT = ["train.lua", "shape.lua"]
MEASURED = {"run", "seconds", "images_per_second", "memory", "ended"}
SLACK = 2.0  # seconds of a busy machine that a checkpoint may be late


class Wrong(Exception):
    pass


def fresh_folder(root, name):
    folder = os.path.join(root, name)
    os.mkdir(folder)
    for file in SCRIPT:
        shutil.copy(os.path.join(HERE, file), folder)
    return folder


class Place:
    """A folder with a database in which runs begin, die and go on."""

    def __init__(self, program, folder, every):
        self.program, self.folder = program, folder
        self.env = dict(os.environ, PERILUNE_CHECKPOINT=str(every), PERILUNE_DB=DATABASE)
        self.every = every
        self.output = ""

    def start(self, *words):
        return subprocess.Popen([self.program, *words], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run_words(self):
        return ["run", "train.lua", "--quiet", "--set", "samples=2000", "--", "a", "b c"]

    def query(self, sql):
        path = os.path.join(self.folder, DATABASE)
        if not os.path.exists(path):
            return []
        db = sqlite3.connect(path)
        db.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in db.execute(sql)]
        except sqlite3.OperationalError as why:
            if "no such table" in str(why):  # killed before the tables were there
                return []
            raise
        finally:
            db.close()

    def finish(self, process):
        out, err = process.communicate(timeout=120)
        if process.returncode != 0:
            raise Wrong("exit status %d: %s" % (process.returncode, err.strip()))
        return out

    def checkpoint(self, uuid):
        """When it was written, and how many epochs were finished then; None without one."""
        path = os.path.join(self.folder, DATABASE + ".d", uuid, "checkpoint.safetensors")
        try:
            with open(path, "rb") as file:
                length = struct.unpack("<Q", file.read(8))[0]
                begin = json.loads(file.read(length))["progress"]["data_offsets"][0]
                file.seek(8 + length + begin)
                return os.stat(path).st_mtime, struct.unpack("<q", file.read(8))[0]
        except FileNotFoundError:
            return None


def seconds_of(text):
    """2026-05-01T12:34:56.789Z"""
    whole, fraction = text.rstrip("Z").split(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone + float("0." + fraction)


def result(place):
    """What must not depend on kills."""
    runs = place.query("select id, ordinal, launch, state, digest, fingerprint, epochs_done, best_epoch, score, exact,"
                       " inexact_why from runs order by ordinal")
    for run in runs:
        number, run["launch"] = run.pop("id"), None
        rows = place.query("select * from epochs where run = %d order by epoch" % number)
        run["epochs"] = [{k: v for k, v in row.items() if k not in MEASURED} for row in rows]
        run["evaluations"] = place.query("select dataset, name, value, digest from evaluations where run = %d"
                                         " order by dataset, name" % number)
        run["files"] = [row["kind"] for row in
                        place.query("select kind from checkpoints where run = %d order by kind" % number)]
    files = {}
    for name in ("fit1.csv", "fit2.csv"):
        with open(os.path.join(place.folder, name)) as file:
            files[name] = file.read()
    return {"runs": runs, "files": files}


def differences(a, b, path="result"):
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [d for key in a for d in differences(a[key], b[key], "%s.%s" % (path, key))]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for i in range(len(a)) for d in differences(a[i], b[i], "%s[%d]" % (path, i))]
    return [] if a == b else ["%s: %.300r, undisturbed %.300r" % (path, a, b)]


def look_at_the_dead(place):
    """After a kill: which run goes on, and how many of its epochs lie behind its checkpoint."""
    check = place.query("pragma integrity_check")
    if check and check[0]["integrity_check"] != "ok":
        raise Wrong("integrity check: %s" % check)
    runs = place.query("select id, uuid, state, started from runs where state <> 'done' order by id desc")
    if not runs:
        return None
    if len(runs) > 1:
        raise Wrong("more than one unfinished run: %s" % runs)
    run = runs[0]
    rows = place.query("select epoch, ended from epochs where run = %d order by epoch" % run["id"])
    saved = place.checkpoint(run["uuid"])
    behind = [row for row in rows if saved is None or row["epoch"] > saved[1]]
    if behind:
        age = seconds_of(behind[-1]["ended"]) - (saved[0] if saved else seconds_of(run["started"]))
        if age > max(1.0, place.every) + SLACK:
            raise Wrong("the checkpoint of run %d was %.1f s old" % (run["id"], age))
    return run["id"], len(behind)


def kill_after(process, seconds):
    """Waits, kills; true when it was not over by itself."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        pass
    was_alive = process.poll() is None
    if was_alive:
        process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stderr.close()
    return was_alive


def events_of(place, run):
    return place.query("select message from events where run = %d and kind = 'resumed' order by id" % run)


def check_resumed(place, dead, before):
    """The event says where it went on, and as many epochs as lay behind the checkpoint were computed again."""
    run, behind = dead
    events = events_of(place, run)[before:]
    if not events:
        return 0  # killed before it had begun to go on
    found = re.search(r"(\d+) recorded epochs? (is|are) computed again", events[0]["message"] or "")
    if not found:
        raise Wrong("the event does not say what was computed again: %r" % events[0]["message"])
    again = int(found.group(1))
    if again != behind:
        raise Wrong("%d epochs were computed again, %d lay behind the checkpoint" % (again, behind))
    return again


def one_round(program, folder, chance, wanted, duration, every):
    """Returns how many kills hit, and how many epochs were computed again."""
    place = Place(program, folder, every)
    hits = again = 0
    kills = min(wanted, chance.randint(1, 4))
    dead, before = None, 0
    while True:
        runs = place.query("select id from runs")
        words = ["resume", "last", "--quiet"] if runs else place.run_words()
        process = place.start(*words)
        if hits < kills:
            hit = kill_after(process, chance.uniform(0, 1.1 * duration))
        else:
            out, hit = place.finish(process), False
            place.output = out
        if dead:
            again += check_resumed(place, dead, before)
        if not hit:
            if process.returncode != 0:
                raise Wrong("exit status %d" % process.returncode)
            if hits >= kills or not place.query("select 1 from runs where state <> 'done'"):
                break
        hits += hit
        dead = look_at_the_dead(place)
        before = len(events_of(place, dead[0])) if dead else 0
    return place, hits, again


def same_output(place, undisturbed):
    """The last process printed all lines, unless the script was over before it was asked to go on."""
    return not place.output or place.output == undisturbed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", nargs="?", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--perilune", default=os.environ.get("PERILUNE_PROGRAM", "perilune"))
    options = parser.parse_args()
    chance = random.Random(options.seed)
    root = tempfile.mkdtemp(prefix="perilune-kills-")
    program = shutil.which(options.perilune) or options.perilune
    program = os.path.abspath(program)

    place = Place(program, fresh_folder(root, "undisturbed"), 1)
    began = time.time()
    undisturbed_output = place.finish(place.start(*place.run_words()))
    duration = time.time() - began
    undisturbed = result(place)
    print("# undisturbed: %.2f s" % duration)
    hits = again = number = failed = 0
    while hits < options.kills:
        number += 1
        folder = fresh_folder(root, "round%d" % number)
        every = chance.choice([0.02, 0.1, 1])
        try:
            place, new, recomputed = one_round(program, folder, chance, options.kills - hits, duration, every)
            wrong = differences(result(place), undisturbed)
            if wrong:
                raise Wrong("; ".join(wrong[:5]))
            if not same_output(place, undisturbed_output):
                raise Wrong("it printed\n%s\nand undisturbed\n%s" % (place.output, undisturbed_output))
            hits += new
            again += recomputed
            print("ok %d - %d kills, %d epochs computed again, a checkpoint each %g s" % (number, new, recomputed, every))
            shutil.rmtree(folder)
        except (Wrong, subprocess.TimeoutExpired) as why:
            failed += 1
            hits += 1
            print("not ok %d - round %d" % (number, number))
            for line in str(why).splitlines():
                print("# " + line)
            print("# what it left: %s" % folder)
        sys.stdout.flush()
    print("# %d kills, %d epochs computed again" % (hits, again))
    print("1..%d" % number)
    if not failed:
        shutil.rmtree(root)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
