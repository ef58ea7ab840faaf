#!/bin/sh
# find_package(pirn COMPONENTS ...) finds what is there, refuses by name what is required and is not, and leaves
# it at what is there if it is optional. And what is no library is installed as well: guides with the examples
# that they link to, and gdb's script, which gdb takes.
set -eu
[ -z "$PIRN_SANITIZE" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$BUILD_DIR" --prefix "$work/prefix" >/dev/null

look_for() { # arguments of find_package: rc, and what is said in $work/said
    rm -rf "$work/build"
    mkdir -p "$work/consumer"
    cat >"$work/consumer/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.18)
project(consumer LANGUAGES C)
find_package(pirn 0.1 $*)
message(STATUS "pirn: \${pirn_FOUND}, http: \${pirn_http_FOUND}, coffee: \${pirn_coffee_FOUND}")
EOF
    rc=0
    cmake -S "$work/consumer" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" \
        -DCMAKE_C_COMPILER="$CC" >"$work/said" 2>&1 || rc=$?
}

expect() { # rc, words
    [ "$rc" = "$1" ] && grep -q -e "$2" "$work/said" || {
        echo "not $1, $2:"
        cat "$work/said"
        exit 1
    }
}

look_for REQUIRED
expect 0 'pirn: 1, http: , coffee: $'
look_for REQUIRED COMPONENTS pirn pirn_static
expect 0 'pirn: 1, '
look_for REQUIRED COMPONENTS coffee
expect 1 'built without pirn::coffee\.'
look_for COMPONENTS coffee
expect 0 'pirn: 0, http: , coffee: FALSE$'
look_for REQUIRED OPTIONAL_COMPONENTS coffee
expect 0 'pirn: 1, http: , coffee: FALSE$'
look_for REQUIRED COMPONENTS http
if [ -e "$BUILD_DIR/pirn-http.pc" ]; then
    expect 0 'pirn: 1, http: TRUE, coffee: $'
else
    expect 1 'built without pirn::http\.'
fi

documents=$work/prefix/share/doc/pirn
for guide in asyncio.md go.md; do
    for link in $(grep -o '](examples/[^) ]*)' "$documents/$guide" | tr -d '])(' | sort -u); do
        [ -e "$documents/$link" ]
    done
done
script=$work/prefix/share/pirn/pirn-gdb.py
[ -e "$script" ]
if command -v gdb >/dev/null; then
    gdb -batch -x "$script" -ex 'help pirn tasks' >"$work/said" 2>&1
    rc=$?
    expect 0 'task'
fi
