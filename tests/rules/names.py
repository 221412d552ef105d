#!/usr/bin/env python3
"""The engine knows no layer, optimizer, loss or metric by name: no string in engine/ equals the name of one.

    names.py INDEX       the index of the built plugins: lines of "KIND TYPE FILE"
"""
import sys

import source

# File, string: why it may stand there although a type is called so.
EXCEPTIONS = {}

types = {}
with open(sys.argv[1], encoding="utf-8") as index:
    for line in index:
        if line.strip():
            kind, name, _ = line.split()
            types.setdefault(name, kind)

complaints, checked, used = [], 0, set()
for path in source.files("engine"):
    for line, text in source.strings(path.read_text()):
        checked += 1
        if text not in types:
            continue
        used.add((source.name(path), text))
        if (source.name(path), text) not in EXCEPTIONS:
            complaints.append(f'{source.name(path)}:{line}: "{text}" is the name of a {types[text]}')
for exception in EXCEPTIONS:
    if exception not in used:
        complaints.append(f"names.py: the exception for {exception[1]} in {exception[0]} is not needed any more")
source.finish("names", checked if types else 0, complaints)
