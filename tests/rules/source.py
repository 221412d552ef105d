"""What the rules share: the files of the project, and C text without its comments."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = {".c", ".h"}


def files(*folders, suffixes=SOURCE):
    """Files below these folders (of the project) that have one of the suffixes, in order."""
    found = []
    for folder in folders:
        found += [p for p in (ROOT / folder).rglob("*") if p.suffix in suffixes and p.is_file()]
    return sorted(found)


def name(path):
    return path.relative_to(ROOT).as_posix()


TOKEN = re.compile(r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.DOTALL | re.VERBOSE)


def without_comments(text):
    """The same lines with comments blanked; what looks like a comment inside of a string stays."""
    def blank(match):
        token = match.group(0)
        return token if token[0] in "\"'" else re.sub(r"[^\n]", " ", token)
    return TOKEN.sub(blank, text)


def strings(text):
    """(line number, contents) of every string literal; neighbours are joined, as the compiler joins them."""
    found, end = [], None
    for match in TOKEN.finditer(text):
        token = match.group(0)
        if token[0] == "/":  # a comment between two literals does not part them
            end = match.end() if end is not None and not text[end:match.start()].strip() else end
            continue
        if token[0] == "'":
            continue
        before = text[text.rfind("\n", 0, match.start()) + 1:match.start()]
        if re.match(r"\s*#\s*include", before):
            continue
        if end is not None and not text[end:match.start()].strip():
            found[-1][1] += token[1:-1]
        else:
            found.append([text.count("\n", 0, match.start()) + 1, token[1:-1]])
        end = match.end()
    return found


def finish(rule, checked, complaints):
    """Says what is wrong and ends the program; a rule that looked at nothing is wrong too."""
    for complaint in complaints:
        print(complaint)
    if not checked:
        print(f"{rule}: nothing was checked")
    print(f"{rule}: {checked} checked, {len(complaints)} wrong")
    sys.exit(1 if complaints or not checked else 0)
