#!/bin/sh
# Installs into an empty prefix and builds a program against it in every documented way: pkg-config
# and find_package, shared and static, C and C++.
set -eu
[ -z "$PIRN_SANITIZE" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=$SOURCE_DIR/tests/install

cmake --install "$BUILD_DIR" --prefix "$work/prefix" >/dev/null
pc=$(find "$work/prefix" -name pirn.pc)
library_dir=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH="${pc%/*}" LD_LIBRARY_PATH="$library_dir"

try() { # what, program
    echo "-- $1"
    [ "$("$2")" = "the answer is 42" ]
}
# shellcheck disable=SC2046 # flags are meant to be split
{
    $CC -std=c11 "$here/consumer.c" $(pkg-config --cflags --libs pirn) -o "$work/shared"
    try "pkg-config, shared" "$work/shared"
    readelf -d "$work/shared" | grep -q 'NEEDED.*libpirn\.so\.0'
    $CC -std=c11 -static "$here/consumer.c" $(pkg-config --static --cflags --libs pirn) -o "$work/static"
    try "pkg-config, static" "$work/static"
    if [ -e "${pc%/*}/pirn-http.pc" ]; then
        $CC -std=c11 "$here/consumer_http.c" $(pkg-config --cflags --libs pirn-http) -o "$work/http"
        try "pkg-config, HTTP, shared" "$work/http"
        readelf -d "$work/http" | grep -q 'NEEDED.*libpirn-http\.so\.0'
        $CC -std=c11 -static "$here/consumer_http.c" $(pkg-config --static --cflags --libs pirn-http) \
            -o "$work/http_static"
        try "pkg-config, HTTP, static" "$work/http_static"
    fi
    for cxx in g++ clang++; do
        command -v $cxx >/dev/null || continue
        $cxx -std=c++17 -Wall -Wextra -pedantic -Werror "$here/consumer.cpp" \
            $(pkg-config --cflags --libs pirn) -o "$work/$cxx"
        try "C++ with $cxx" "$work/$cxx"
    done
}
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_C_COMPILER="$CC" >/dev/null
cmake --build "$work/build"
try "find_package, pirn::pirn" "$work/build/consumer_shared"
try "find_package, pirn::pirn_static" "$work/build/consumer_static"
if [ -e "${pc%/*}/pirn-http.pc" ]; then
    try "find_package, pirn::http" "$work/build/consumer_http"
    try "find_package, pirn::http_static" "$work/build/consumer_http_static"
    unset LD_LIBRARY_PATH # what CMake wrote into the program finds the libraries it names, these the rest
    try "find_package, pirn::http, by itself" "$work/build/consumer_http"
fi
