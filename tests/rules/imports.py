#!/usr/bin/env python3
"""Includes run one way: each room of engine/ may use only the rooms below it, and plugins only the public header.

Which libraries a room may know is the same kind of rule: only the store speaks SQL, nobody below script knows Lua.
"""
import re

import source

BELOW_NET = {"base", "kernels", "plugin", "picture", "data"}
ALL = BELOW_NET | {"net", "store"}
MAY_INCLUDE = {
    "base": set(),
    "kernels": {"base"},
    "plugin": {"base", "kernels"},
    "picture": {"base"},
    "data": {"base", "kernels", "picture"},
    "store": {"base"},
    "net": BELOW_NET,
    "check": BELOW_NET | {"net"},
    "sweep": ALL,
    "serve": ALL | {"sweep"},
    "script": ALL | {"sweep"},
    "cli": ALL | {"sweep", "serve", "script", "check"},
    "embed": ALL,
}

# Libraries' headers, and who may include them.
LIBRARIES = {
    r"sqlite3\.h": {"store"},
    r"(lua|lauxlib|lualib|luaconf)\.h": {"script", "cli"},
    r"microhttpd\.h": {"serve"},
    r"png\.h": {"picture"},
    r"curl/.*": {"cli"},
}
# File, header: why not.
EXCEPTIONS = {
    ("engine/cli/doctor_machine.c", "sqlite3.h"): "`perilune doctor` states the version of every library",
    ("engine/cli/doctor_machine.c", "png.h"): "the same",
    ("engine/script/record.c", "sqlite3.h"): "a launch records the versions that it ran with",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def own(path, room, header):
    """What is wrong with including a header of ours, or None."""
    parts = header.split("/")
    if parts[0] == "perilune":
        return None if (source.ROOT / "engine/include" / header).is_file() else "there is no such header"
    if len(parts) != 2:
        return 'write it as "room/file.h"'
    if not (source.ROOT / "engine" / header).is_file():
        return "there is no such header"
    if parts[0] != room and parts[0] not in MAY_INCLUDE[room]:
        return f"{room} may not use {parts[0]}"
    return None


def library(path, room, header):
    if header.startswith("perilune/"):
        return "it is ours: write it with quotes"
    for pattern, rooms in LIBRARIES.items():
        if re.fullmatch(pattern, header) and room not in rooms and (source.name(path), header) not in EXCEPTIONS:
            return f"only {', '.join(sorted(rooms))} may use it"
    return None


def plugin(path, header):
    """Plugins stand alone: the public header, and headers of their own folder."""
    if header == "perilune/plugin.h":
        return None
    return None if (path.parent / header).is_file() else "a plugin includes perilune/plugin.h and headers beside it, nothing else"


complaints, checked, used = [], 0, set()


def look(path, judge):
    global checked
    text = path.read_text()
    for match in INCLUDE.finditer(source.without_comments(text)):
        checked += 1
        used.add((source.name(path), match.group(2)))
        wrong = judge(match.group(1), match.group(2))
        if wrong:
            line = text.count("\n", 0, match.start(1)) + 1
            complaints.append(f"{source.name(path)}:{line}: includes {match.group(2)}: {wrong}")


for path in source.files("engine"):
    room = path.relative_to(source.ROOT / "engine").parts[0]
    if room == "include":
        look(path, lambda mark, header: "the public headers stand alone" if mark == '"' else None)
    elif room not in MAY_INCLUDE:
        complaints.append(f"{source.name(path)}: {room} is no room that this rule knows; say in MAY_INCLUDE what it may use")
    else:
        look(path, lambda mark, header: (own if mark == '"' else library)(path, room, header))
for path in source.files("plugins"):
    # A compiler's own headers hold types and macros, and nothing to link against.
    look(path, lambda mark, header: plugin(path, header) if mark == '"' or header not in ("stddef.h", "stdint.h", "float.h", "limits.h") else None)
for file, header in EXCEPTIONS:
    if (file, header) not in used:
        complaints.append(f"imports.py: the exception for {header} in {file} is not needed any more")
source.finish("imports", checked, complaints)
