#!/usr/bin/env python3
"""Executes what a page of the documentation shows, so that page and program cannot drift apart.

    page.py PAGE.md --program BUILD/perilune [--source CHECKOUT] [--work FOLDER] [--show]

The page's fenced blocks are taken in their order, in one empty folder that holds copies of experiments/ and
engine/include/.  The word after the language says what becomes of a block:

    ```c snake.c          written to snake.c          ```c snake.c +      added to its end
                          (as is a block whose first line is the comment /* snake.c: … or -- own.lua)
    ```sh                 executed by bash; every command must succeed    ```sh fails    the last one must not
    ```text               what the block before printed; … is any text, alone on a line any lines
    ```lua own.lua        written; a Lua block without a name is executed by the program if it requires perilune
    ```sql                asked of perilune.db, or of a database with one run where the page has made none
    ```… norun            looked at by nobody;   ```sh data    only where real MNIST is at hand

Prints TAP, a test for each block.  --show prints what the blocks print: for those who write pages."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Commands that install, download, build the whole project or never end: not the business of this test.
NOT_HERE = re.compile(r"\b(sudo|apt|apt-get|git clone|meson|ninja|scripts/\w+|perilune serve|\.ci/run)\b")
TIME_LIMIT = 240  # seconds for a block


class Block:
    def __init__(self, line, info, text):
        words = info.split()
        self.line, self.text = line, text
        self.language = words[0] if words else ""
        self.words = set(words[1:])
        names = [w for w in words[1:] if "." in w]
        first = re.match(r"(?:--|//|/\*) *([\w./-]+\.(?:lua|c))\b", text)
        self.file = names[0] if names else first.group(1) if first else None

    def title(self):
        first = self.text.strip().split("\n")[0][:60].replace("#", "")
        return f"line {self.line}, {self.language or 'text'}{' ' + self.file if self.file else ''}: {first}"


def read_blocks(text):
    """Blocks between fences; an indented fence is part of a list, and its indentation is taken away."""
    blocks, inside, lines = [], None, []
    for number, line in enumerate(text.split("\n"), 1):
        fence = re.match(r"( *)```(.*)$", line)
        if fence and inside is None:
            inside, lines = (number, fence.group(2), len(fence.group(1))), []
        elif fence and not fence.group(2).strip():
            blocks.append(Block(inside[0], inside[1], "\n".join(lines) + "\n"))
            inside = None
        elif inside is not None:
            lines.append(line[inside[2]:] if not line[:inside[2]].strip() else line)
    if inside is not None:
        raise SystemExit(f"the block that begins in line {inside[0]} has no end")
    return blocks


def squeeze(text):
    """Lines without what is at their ends; runs of blanks are one, since columns follow the widths of times."""
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in text.strip("\n").split("\n")]
    return "\n".join(lines)


def matches(wanted, got):
    pattern = ""
    for line in squeeze(wanted).split("\n"):
        if line == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.split("…")) + r"\n"
    return re.fullmatch(pattern, squeeze(got) + "\n") is not None


class Page:
    def __init__(self, options):
        self.options, self.output, self.failed = options, None, False
        self.folder = pathlib.Path(options.work or tempfile.mkdtemp(prefix="perilune-docs-"))
        source = pathlib.Path(options.source)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(source / "experiments", self.folder / "experiments")
        shutil.copytree(source / "engine" / "include", self.folder / "engine" / "include")
        self.mnist = os.environ.get("PERILUNE_DATA")
        self.environment = self.make_environment()

    def make_environment(self):
        """The program on the path, its pkg-config files, and nothing of the user's."""
        build = pathlib.Path(self.options.program).resolve().parent
        own = {k: v for k, v in os.environ.items() if not k.startswith(("PERILUNE_", "XDG_"))}
        own.update(PATH=f"{build}:{os.environ['PATH']}", HOME=str(self.folder), LC_ALL="C.UTF-8", NO_COLOR="1",
                   PKG_CONFIG_PATH=str(build / "meson-uninstalled"))
        return own

    def run(self, command, more=None):
        """Returns (exit status, output); a test that hangs is one that failed."""
        try:
            done = subprocess.run(command, cwd=self.folder, env={**self.environment, **(more or {})}, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIME_LIMIT,
                                  errors="replace")
            return done.returncode, done.stdout
        except OSError as why:
            return 127, str(why)
        except subprocess.TimeoutExpired as why:
            return 124, f"{why.output or ''}\n(no end after {TIME_LIMIT} s)"

    def write(self, block):
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a" if "+" in block.words else "w", encoding="utf-8") as file:
            file.write(block.text)
        return "ok", ""

    def execute(self, command, fails=False, more=None):
        status, self.output = self.run(command, more)
        if self.options.show:
            print(self.output, file=sys.stderr)
        if (status != 0) == fails:
            return "ok", ""
        wanted = "a failure" if fails else "success"
        return "not ok", f"exit status {status}, {wanted} was expected:\n{self.output}"

    def compare(self, block):
        if self.output is None:
            return "skip", "nothing was executed before it"
        if matches(block.text, self.output):
            return "ok", ""
        return "not ok", f"the page says:\n{block.text}\nbut it is:\n{self.output}"

    def do(self, block):
        """One block: ("ok", "not ok" or "skip"; why)."""
        if "norun" in block.words:
            return "skip", "only to be read"
        if block.language == "text":
            return self.compare(block)
        self.output = None
        if block.file:
            return self.write(block)
        if block.language == "sh":
            if NOT_HERE.search(block.text):
                return "skip", "installs or builds"
            if "data" in block.words and not (self.mnist and pathlib.Path(self.mnist, "mnist").is_dir()):
                return "skip", "needs MNIST in $PERILUNE_DATA"
            real = {"PERILUNE_DATA": self.mnist} if "data" in block.words else {}
            return self.execute(["bash", "-euo", "pipefail", "-c", block.text], "fails" in block.words, real)
        if block.language == "sql":
            if not (self.folder / "perilune.db").exists():
                self.execute(["perilune", "run", "--quiet", "experiments/xor.lua"])
            return self.execute(["sqlite3", "-readonly", "-bail", "perilune.db", block.text])
        if block.language == "lua" and "require" in block.text:
            path = self.folder / f"line{block.line}.lua"
            path.write_text(block.text, encoding="utf-8")
            return self.execute(["perilune", "run", "--quiet", path.name])
        return "skip", "nothing to execute"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page")
    parser.add_argument("--program", required=True)
    parser.add_argument("--source", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--work")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    blocks = read_blocks(pathlib.Path(options.page).read_text(encoding="utf-8"))
    page, failed = Page(options), 0
    for number, block in enumerate(blocks, 1):
        verdict, why = page.do(block)
        if verdict == "skip":
            print(f"ok {number} - {block.title()} # SKIP {why}")
            continue
        print(f"{verdict} {number} - {block.title()}", flush=True)
        if verdict != "ok":
            failed += 1
            print("".join(f"# {line}\n" for line in why.split("\n")), end="")
    print(f"1..{len(blocks)}")
    if not options.work:
        shutil.rmtree(page.folder, ignore_errors=True)
    return 1 if failed or not blocks else 0


if __name__ == "__main__":
    sys.exit(main())
