#!/bin/sh
# Installs into an empty prefix and builds a program against libpirn-tls in every documented way; and what
# the library exports is what its header declares.
set -eu
[ -z "$PIRN_SANITIZE" ] || exit 77
pkg-config --exists 'openssl >= 3.0' || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=$SOURCE_DIR/tests/tls

cmake --install "$BUILD_DIR" --prefix "$work/prefix" >/dev/null
pc=$(find "$work/prefix" -name pirn-tls.pc)
library_dir=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH="${pc%/*}" LD_LIBRARY_PATH="$library_dir"

try() { # what, program
    echo "-- $1"
    [ "$("$2")" = "TLS says 0" ]
}
# shellcheck disable=SC2046 # flags are meant to be split
{
    $CC -std=c11 "$here/consumer.c" $(pkg-config --cflags --libs pirn-tls) -o "$work/shared"
    try "pkg-config, shared" "$work/shared"
    readelf -d "$work/shared" | grep -q 'NEEDED.*libpirn-tls\.so\.0'
    $CC -std=c11 "$here/consumer.c" $(pkg-config --cflags pirn-tls) "$library_dir/libpirn-tls.a" \
        "$library_dir/libpirn.a" $(pkg-config --static --libs-only-l pirn openssl) -o "$work/static" \
        -L"$library_dir"
    try "pkg-config, static" "$work/static"
    for cxx in g++ clang++; do
        command -v $cxx >/dev/null || continue
        $cxx -x c++ -std=c++17 -Wall -Wextra -pedantic -Werror "$here/consumer.c" \
            $(pkg-config --cflags --libs pirn-tls) -o "$work/$cxx"
        try "C++ with $cxx" "$work/$cxx"
    done
}

cat >"$work/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.18)
project(consumer LANGUAGES C)
find_package(pirn 0.1 REQUIRED)
add_executable(consumer_shared $here/consumer.c)
target_link_libraries(consumer_shared pirn::tls)
add_executable(consumer_static $here/consumer.c)
target_link_libraries(consumer_static pirn::tls_static)
END
cmake -S "$work" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_C_COMPILER="$CC" >/dev/null
cmake --build "$work/build"
try "find_package, pirn::tls" "$work/build/consumer_shared"
try "find_package, pirn::tls_static" "$work/build/consumer_static"

nm -D --defined-only "$library_dir/libpirn-tls.so" | awk '{ print $3 }' | sort >"$work/exported"
grep -Eo '\bpirn_tls_[a-z_]+\(' "$SOURCE_DIR/api/include/pirn/tls.h" | tr -d '(' | sort -u >"$work/declared"
diff "$work/exported" "$work/declared"
