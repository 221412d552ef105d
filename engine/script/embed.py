#!/usr/bin/env python3
"""Writes the Lua library as C arrays, so that one binary suffices: embed.py ROOT OUT FILE.lua...

The name of a file is its path below ROOT without ".lua"; the names are sorted, so that the output depends on the
files alone.
"""
import os
import sys


def name_of(root, path):
    return os.path.relpath(path, root)[: -len(".lua")].replace(os.sep, "/")


def main():
    root, out, paths = sys.argv[1], sys.argv[2], sys.argv[3:]
    files = sorted((name_of(root, path), path) for path in paths)
    lines = ["/* Made by embed.py from scripts/perilune; do not edit. */", '#include "script/binding.h"', ""]
    for i, (_, path) in enumerate(files):
        with open(path, "rb") as file:
            data = file.read()
        lines.append("static const unsigned char file_%d[] = {" % i)
        for at in range(0, len(data), 24):
            lines.append("    " + "".join("%d," % byte for byte in data[at : at + 24]))
        lines.append("};")
    lines.append("const library_file library_files[] = {")
    for i, (name, _) in enumerate(files):
        lines.append('    {"%s", file_%d, sizeof file_%d},' % (name, i, i))
    lines.append("    {NULL, NULL, 0}};")
    with open(out, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
