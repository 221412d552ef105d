#!/usr/bin/env bash
# What somebody has who has installed Perilune and knows nothing of this tree: headers, libperilune, two pkg-config files.
#
#   outside.sh BUILD SOURCE TRAIN_SNAKE
#
# Installs the build folder into a temporary one, and there:
#   - plugin.h and perilune.h each compile alone, as C11 and as C++17
#   - a plugin is built with gcc and the flags of perilune-plugin.pc alone; TRAIN_SNAKE trains with it
#   - the example at the head of perilune.h is compiled with perilune.pc, and reads a digit from a PNG
#   - the flags name installed folders and nothing of this tree
set -euo pipefail
build=$1 source=$2 train=$(realpath "$3")
there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT

number=0 bad=0
check() { # check NAME COMMAND…: one line of TAP
    local name=$1
    shift
    number=$((number + 1))
    if "$@" >"$there/output" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$there/output"
        bad=1
    fi
}

echo "1..10"
check "it installs" env DESTDIR="$there/dest" meson install -C "$build" --no-rebuild --quiet
[ $bad = 0 ] || exit 1

pc=$(find "$there/dest" -name perilune-plugin.pc -print -quit)
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 # where the prefix is /usr
export PKG_CONFIG_SYSROOT_DIR=$there/dest PKG_CONFIG_LIBDIR=${pc%/*}
PKG_CONFIG_LIBDIR+=:$(pkg-config --variable pc_path pkg-config)
read -ra plugin_flags < <(pkg-config --cflags perilune-plugin)
read -ra embed_flags < <(pkg-config --cflags perilune)
read -ra embed_libs < <(pkg-config --libs perilune)
libraries=$(find "$there/dest" -name 'libperilune.so' -printf '%h' -quit)
plugins=$there/dest$(env -u PKG_CONFIG_SYSROOT_DIR pkg-config --variable plugindir perilune-plugin)
strict=(-Wall -Wextra -pedantic -Werror -fsyntax-only)

alone() { # alone FLAG… HEADER: a file that has nothing but the header
    local header=${*: -1}
    printf '#include <perilune/%s>\n#include <perilune/%s>\n' "$header" "$header" | "${@:1:$#-1}" -
}
check "plugin.h compiles alone as C11" alone gcc -std=c11 "${strict[@]}" "${plugin_flags[@]}" -x c plugin.h
check "plugin.h compiles alone as C++17" alone g++ -std=c++17 "${strict[@]}" "${plugin_flags[@]}" -x c++ plugin.h
check "perilune.h compiles alone as C11" alone gcc -std=c11 "${strict[@]}" "${embed_flags[@]}" -x c perilune.h
check "perilune.h compiles alone as C++17" alone g++ -std=c++17 "${strict[@]}" "${embed_flags[@]}" -x c++ perilune.h

mkdir "$there/work"
cp "$source/experiments/custom_layer/snake.c" "$there/work"
cd "$there/work"
# As the header says it.
check "a plugin is built with gcc and the pkg-config file" gcc -shared -fPIC -O3 -fno-math-errno -ffp-contract=off -Wall -Wextra -Werror \
    "${plugin_flags[@]}" snake.c -o snake.so
check "a model trains with it" env PERILUNE_PLUGINS="$there/work:$plugins" "$train"

{
    printf '#include <perilune/perilune.h>\n#include <stdio.h>\nint main(void)\n{\n'
    sed -n '/^ \* *pln_model \*model = /,/^ \* *pln_model_free/s/^ \* *//p' "$source/engine/include/perilune/perilune.h"
    printf 'return 0;\n}\n'
} >example.c
check "perilune.h's example compiles" gcc -std=c11 -Wall -Wextra -Werror "${embed_flags[@]}" example.c -o example "${embed_libs[@]}"
predicts() {
    env LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" PERILUNE_PLUGINS="$there/work:$plugins" ./example >answer 2>&1
    cat answer
    grep -qx '[0-9]' answer
}
check "the example reads a digit from a PNG" predicts

# Everything it was built against comes from the installed tree.
tidy() {
    echo "${plugin_flags[*]} / ${embed_flags[*]} / ${embed_libs[*]}"
    for flag in "${plugin_flags[@]}" "${embed_flags[@]}" "${embed_libs[@]}"; do
        case $flag in
        -I"$there"/dest/* | -L"$there"/dest/* | -lperilune) ;;
        *) echo "unexpected: $flag" && return 1 ;;
        esac
    done
}
check "the flags name the installed folders alone" tidy
exit $bad
