#!/bin/sh
# What an operation costs does not depend on how many coroutines are alive: beside 10,000 that are parked it takes
# at most twice as many instructions as beside 10. In time, with what the caches make of it, and up to a million:
# row growth (perf/bench/growth.c).
set -eu
skip() {
    echo "skipped: $*"
    exit 77
}
[ "$PIRN_HARD" != ON ] && [ -z "$PIRN_SANITIZE" ] || skip "the plain build alone is counted"
for tool in valgrind nm python3; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
exec python3 "$SOURCE_DIR/tests/guard/counts.py" "$BIN_DIR/tests/guard/counts" "$BUILD_DIR/guard-growth" \
    --beside 10 10000
