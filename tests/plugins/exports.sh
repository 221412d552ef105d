#!/bin/sh
# A plugin exports one data symbol, perilune_plugin, and asks for nothing but what a C compiler itself may call.
#   exports.sh FOLDER
export LC_ALL=C
bad=0 seen=0
for file in "$1"/*.so; do
    seen=$((seen + 1))
    defined=$(nm -D --defined-only "$file" | awk '{ print $2 $3 }' | sort | tr '\n' ' ')
    case $defined in
    "Dperilune_plugin " | "Rperilune_plugin ") ;;
    *) echo "$file exports '$defined', not perilune_plugin alone" && bad=1 ;;
    esac
    wanted=$(nm -D --undefined-only "$file" | awk '$1 == "U" { print $2 }' | sed 's/@.*//' |
        grep -v -x -e memcpy -e memset -e memmove -e memcmp | tr '\n' ' ')
    [ -z "$wanted" ] || { echo "$file asks for '$wanted'; services come through the host's table" && bad=1; }
done
[ "$seen" -gt 0 ] || { echo "no plugins in $1" && bad=1; }
exit $bad
