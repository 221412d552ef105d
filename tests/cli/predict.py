"""predict reads pictures, names what is none, and says what it saw."""
import glob
import json
import os
import sqlite3

import tap

t = tap.Test()
drawn = t.run("data", "image", "digits", "8", "--seed", "2", "--output", "digit.png")
t.ok(drawn.status == 0 and "a picture of '" in drawn.out, "data image draws a digit", drawn)

label = drawn.out.split("a picture of '")[1][0]
early = t.run("predict", "digit.png")
t.ok(early.status == 0 and early.out.startswith(f"digit.png   {label} ") and "comes with Perilune" in early.out
     and not os.path.exists(t.path("test.db")), "before any training, a net that comes along answers", early)

none = t.run("predict", "digit.png", "--no-record", "--model", "no.safetensors")
t.ok(none.status == 1 and "there is no model file 'no.safetensors'" in none.err, "a model file that is not there", none)

t.train()
weights = glob.glob(t.path("test.db.d", "*", "final.safetensors"))[0]
asked = t.run("predict", "digit.png")
lines = asked.out.splitlines()
t.ok(asked.status == 0 and asked.err == "", "predict answers", asked)
t.ok(lines[0].startswith("digit.png   ") and lines[0].endswith("run 1, quick") and " %" in lines[0],
     "its first line tells picture, class, share and model", asked)
t.ok(sum(line.rstrip().endswith("%") for line in lines[1:]) == 10, "ten bars", asked)
t.ok(any("▄" in line or "█" in line for line in lines[1:]) and "\033" not in asked.out,
     "the picture is drawn, without colours in a pipe", asked)
ascii_only = t.run("predict", "digit.png", env={"LC_ALL": "C"})
t.ok(ascii_only.out.isascii() and "#" in ascii_only.out, "ASCII where the locale is", ascii_only)
narrow = t.run("predict", "digit.png", env={"COLUMNS": "40"})
t.ok(max(len(line.rstrip()) for line in narrow.out.splitlines()) <= 44, "one above the other where it is narrow", narrow)

# -------------------------------------------------------------------------------------------------- as JSON
answer = t.run("predict", "digit.png", "--json").json()
t.ok(len(answer) == 1 and answer[0]["run"] == 1 and len(answer[0]["probabilities"]) == 10
     and abs(sum(answer[0]["probabilities"]) - 1) < 1e-3
     and answer[0]["confidence"] == max(answer[0]["probabilities"])
     and answer[0]["class"] == answer[0]["probabilities"].index(answer[0]["confidence"]), "predict --json", answer)
by_file = t.run("predict", "digit.png", "--json", "--model", weights, "--no-record").json()
t.ok(by_file[0]["probabilities"] == answer[0]["probabilities"] and by_file[0]["run"] is None,
     "a file and its run give the same numbers", by_file)
for word in ("1", "last", "best", "best:quick"):
    t.ok(t.run("predict", "digit.png", "--json", "--model", word).json()[0]["run"] == 1, f"--model {word}")
both = t.run("predict", "digit.png", "digit.png", "--model", "1", "--model", weights, "--brief")
t.ok(both.status == 0 and len(both.out.splitlines()) == 5, "several pictures and models, a line each", both)
piped = t.run("predict", "-", "--json", stdin=open(t.path("digit.png"), "rb").read()).json()
t.ok(piped[0]["probabilities"] == answer[0]["probabilities"], "a picture on standard input", piped)

# -------------------------------------------------------------------------------------------------- recorded
rows = sqlite3.connect(t.path("test.db")).execute("select run, image, digit, confidence from predictions").fetchall()
t.ok(len(rows) >= 4 and rows[0][0] == 1 and rows[0][1] == "digit.png" and rows[0][2] == answer[0]["class"],
     "answers are recorded", rows)
count = len(rows)
t.run("predict", "digit.png", "--no-record")
rows = sqlite3.connect(t.path("test.db")).execute("select count(*) from predictions").fetchone()
t.ok(rows[0] == count, "but not with --no-record", rows)
made = t.run("predict", "digit.png", "--model", weights, env={"PERILUNE_DB": t.path("other.db")})
t.ok(made.status == 0 and not os.path.exists(t.path("other.db")), "predict makes no database", made)

with open(t.path("letter.db"), "w", encoding="utf-8") as f:
    f.write("Dear reader, this is no database.\n" * 50)
noted = t.run("predict", "digit.png", "--model", weights, env={"PERILUNE_DB": t.path("letter.db")})
t.ok(noted.status == 0 and noted.out.startswith("digit.png ") and "were not recorded" in noted.err and "letter.db" in noted.err,
     "where answers cannot be recorded they are given, with a note", noted)

# -------------------------------------------------------------------------------------- other sizes, dark on light
def stroke(x, y):
    return 20 if 90 < x < 110 and 40 < y < 160 else 235

tap.write_png(t.path("one.png"), 200, 200, stroke)
tap.write_png(t.path("inverted.png"), 200, 200, lambda x, y: 255 - stroke(x, y))
one, inverted = t.run("predict", "one.png", "--json").json(), t.run("predict", "inverted.png", "--json").json()
t.ok(one[0]["class"] == inverted[0]["class"]
     and max(abs(a - b) for a, b in zip(one[0]["probabilities"], inverted[0]["probabilities"])) < 0.02,
     "dark on light and light on dark are the same digit", (one, inverted))
t.ok(t.run("predict", "one.png", "--raw").status == 0, "--raw takes the picture as it is")

# ------------------------------------------------------------------------------------------------- bad pictures
tap.write_png(t.path("blank.png"), 64, 64, lambda x, y: 255)
blank = t.run("predict", "blank.png")
t.ok(blank.status == 1 and "no digit found" in blank.err and "blank.png" in blank.err and blank.out == "",
     "a blank picture is no digit, status 1", blank)
with open(t.path("photo.jpg"), "wb") as f:
    f.write(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + bytes(600))
photo = t.run("predict", "photo.jpg")
t.ok(photo.status == 1 and "JPEG" in photo.err and "photo.jpg" in photo.err and "convert" in photo.err,
     "a JPEG is named, with the command that converts it", photo)
with open(t.path("cut.png"), "wb") as f:
    f.write(open(t.path("digit.png"), "rb").read()[:60])
cut = t.run("predict", "cut.png")
t.ok(cut.status == 1 and "cut.png" in cut.err, "a PNG that is cut off", cut)
gone = t.run("predict", "nowhere.png")
t.ok(gone.status == 1 and "nowhere.png" in gone.err, "a picture that is not there", gone)
mixed = t.run("predict", "blank.png", "digit.png", "--json")
told = json.loads(mixed.out)
t.ok(mixed.status == 1 and "no digit found" in told[0]["error"] and told[1]["class"] == answer[0]["class"],
     "one bad picture does not hide the others", mixed)

with open(t.path("broken.safetensors"), "wb") as f:
    f.write(b"\xff" * 64)
broken = t.run("predict", "digit.png", "--model", "broken.safetensors")
t.ok(broken.status == 1 and "broken.safetensors" in broken.err, "a model file that is none", broken)
with open(t.path("numbers.lua"), "w", encoding="utf-8") as f:
    f.write('local lab = require "perilune"\nlocal nn = lab.nn\n'
            'local m = nn.Sequential { nn.Input { 3 }, nn.Dense { units = 2, activation = "softmax" } }\n'
            'm:save "numbers.safetensors"\n')
t.run("run", "numbers.lua")
numbers = t.run("predict", "digit.png", "--model", "numbers.safetensors")
t.ok(numbers.status == 1 and "takes no pictures" in numbers.err, "a model that takes no pictures", numbers)
unknown = t.run("predict", "digit.png", "--model", "99")
t.ok(unknown.status == 1 and "99" in unknown.err, "a run that is not there", unknown)
t.done()
