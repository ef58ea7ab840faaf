#!/bin/sh
# No hot path may grow by more than 5% unseen: callgrind counts the instructions of each operation of
# operations.h, one worker, the clock standing still (counts.c), and counts.py compares them with counts.txt.
# What the kernel does is not in them, nor is a cache miss.
#
# The counts are those of a compiler: where it is another, this is skipped. When a growth is wanted, and
# after a gain, which would hide the next growth:
#
#     PIRN_GUARD_RENEW=1 ctest --test-dir build -R guard/counts
#
# Where a growth lies is printed, function by function; and line by line it is in build/guard/OPERATION:
#
#     callgrind_annotate --auto=yes build/guard/yield
set -eu
skip() {
    echo "skipped: $*"
    exit 77
}
[ "$PIRN_HARD" != ON ] && [ -z "$PIRN_SANITIZE" ] || skip "the counts are those of the plain build"
for tool in valgrind nm python3; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done

version=$("$CC" -dumpfullversion 2>/dev/null) || skip "the counts are gcc's, this is $CC"
cached() { sed -n "s/^$1:[A-Z]*=//p" "$BUILD_DIR/CMakeCache.txt"; }
build=$(cached CMAKE_BUILD_TYPE)
flags="$(cached CMAKE_C_FLAGS) $(cached "CMAKE_C_FLAGS_$(echo "$build" | tr '[:lower:]' '[:upper:]')")"
# shellcheck disable=SC2086 # one blank between them
description=$(echo gcc $version $flags, "$(getconf GNU_LIBC_VERSION)", "$(uname -m)")

exec python3 "$SOURCE_DIR/tests/guard/counts.py" "$BIN_DIR/tests/guard/counts" "$BUILD_DIR/guard" \
    "$SOURCE_DIR/tests/guard/counts.txt" "$description" ${PIRN_GUARD_RENEW:+--renew}
