#!/usr/bin/env python3
"""What no file of the project may hold: tabs in C and Lua, lines that end in spaces, a last line without its end, Windows's
line ends, characters that nobody sees, bytes that are no UTF-8; and source files too long to have one job."""
import re
import unicodedata

import source

FOLDERS = (".ci", "docs", "engine", "experiments", "lua", "plugins", "scripts", "tests", "web")
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "meson.build", "meson_options.txt", ".clang-format", ".gitignore")
BINARY = {".png", ".gz", ".safetensors", ".db", ".so", ".ico", ".woff2", ".svgz", ".pdf"}
NO_TABS = {".c", ".h", ".lua", ".py", ".mjs", ".ts", ".tsx", ".sh", ".md"}
CODE = {".c", ".h", ".lua", ".py", ".mjs", ".ts", ".tsx", ".sh"}
MADE = {"node_modules", "__pycache__", "dist"}  # by tools, and ignored by git
LONGEST = 900  # lines of a source file

# Longer, for a reason.
EXCEPTIONS = {}


def invisible(character):
    """Formatting, private and unassigned characters, spaces that are no space, and variation selectors."""
    kind = unicodedata.category(character)
    if character in "\n\t\r":  # spoken of elsewhere
        return False
    return kind in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp") or (kind == "Zs" and character != " ") or \
        0xFE00 <= ord(character) <= 0xFE0F


def faults(path, data):
    """(line, what) of all that is wrong with a file."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as why:
        yield data.count(b"\n", 0, why.start) + 1, "bytes that are no UTF-8"
        return
    if data and not data.endswith(b"\n"):
        yield text.count("\n") + 1, "the last line does not end"
    if text.endswith("\n\n"):
        yield text.count("\n"), "empty lines at the end"
    for number, line in enumerate(text.split("\n"), 1):
        if "\r" in line:
            yield number, "a carriage return"
        if "\t" in line and path.suffix in NO_TABS:
            yield number, "a tab"
        if re.search(r"[ \t]$", line):
            yield number, "spaces at the end"
        for character in sorted(set(filter(invisible, line))):
            yield number, f"an invisible character, U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()
    lines = text.count("\n")
    if path.suffix in CODE and lines > LONGEST and source.name(path) not in EXCEPTIONS:
        yield lines, f"{lines} lines; a file has one job and at most {LONGEST}"


def paths():
    for folder in FOLDERS:
        for path in sorted((source.ROOT / folder).rglob("*")):
            parts = path.relative_to(source.ROOT).parts
            if path.is_file() and not MADE & set(parts) and path.suffix not in BINARY:
                yield path
    yield from (source.ROOT / top for top in TOP if (source.ROOT / top).is_file())


complaints, checked = [], 0
for path in paths():
    data = path.read_bytes()
    if b"\0" in data:
        complaints.append(f"{source.name(path)}: zero bytes; a binary file's suffix belongs into BINARY")
        continue
    checked += 1
    complaints += [f"{source.name(path)}:{line}: {what}" for line, what in faults(path, data)]
source.finish("hygiene", checked, complaints)
