"""Every command explains itself on one screen; misspelled words are told; exit statuses are 0, 1 and 2."""
import re

import tap

t = tap.Test()
top = t.run("--help")
commands = re.findall(r"^  ([a-z]+) +\S", top.out, re.M)
t.ok(top.status == 0 and len(commands) >= 14, "perilune --help lists the commands", top)
t.ok(t.run().out == top.out, "perilune alone shows the same")
t.ok(re.fullmatch(r"perilune \d+\.\d+\.\d+\n", t.run("--version").out), "--version", t.run("--version"))

for name in commands:
    shown = t.run(name, "--help")
    lines = shown.out.splitlines()
    t.ok(shown.status == 0 and shown.err == "" and 6 <= len(lines) <= 40 and max(map(len, lines)) <= 120
         and lines[0].startswith(f"usage: perilune {name}") and "example:" in lines,
         f"{name} --help fits a screen and has an example", shown)
    t.ok(t.run("help", name).out == shown.out, f"help {name} is the same")
    wrong = t.run(name, "--heelp")
    t.ok(wrong.status == 2 and "did you mean '--help'?" in wrong.err and wrong.out == "",
         f"{name}: an unknown option is status 2 and suggests", wrong)
    if "--json" in shown.out:
        wrong = t.run(name, "--json=yes")
        t.ok(wrong.status == 2 and "takes no argument" in wrong.err, f"{name}: a switch takes no argument", wrong)

near = t.run("shwo", "7")
t.ok(near.status == 2 and near.err == "perilune: 'shwo' is no command (did you mean 'show'?)\n", "a near command", near)
far = t.run("xyzzy")
t.ok(far.status == 2 and "perilune --help" in far.err, "a command that is near none", far)
script = t.run("xor.lua")
t.ok(script.status == 2 and "perilune run xor.lua" in script.err, "a script in the command's place", script)
missing = t.run("predict")
t.ok(missing.status == 2 and "missing" in missing.err, "too few words", missing)
many = t.run("runs", "7")
t.ok(many.status == 2 and "one argument too many" in many.err, "too many words", many)

for words in (["runs"], ["show"], ["diff", "1", "2"], ["tag", "1", "x"], ["rm", "1"], ["export", "1"]):
    none = t.run(*words)
    t.ok(none.status == 1 and f"there is no database '{t.path('test.db')}'" in none.err and "perilune run SCRIPT" in none.err,
         f"{words[0]} without a database says how to make one", none)
t.done()
