#!/bin/sh
# Programs run under valgrind, and memcheck has nothing to say: of coroutines' stacks, of what the kernel
# writes through a ring, of what is left at the end. What is wrong in a coroutine it still finds.
set -eu
skip() {
    echo "skipped: $*"
    exit 77
}
[ -z "$PIRN_SANITIZE" ] || skip "not together with a sanitizer"
command -v valgrind >/dev/null || skip "valgrind is not installed"
echo '#include <valgrind/memcheck.h>' | "$CC" -E - >/dev/null 2>&1 || skip "valgrind's header is missing"

memcheck() { valgrind -q --leak-check=full --fair-sched=yes --error-exitcode=9 "$@"; }

for w in 1 2; do
    PIRN_WORKERS=$w memcheck "$BIN_DIR/hello"
done
memcheck "$BIN_DIR/tests/guard/waits"

found=0
memcheck "$BIN_DIR/tests/guard/waits" nothing 2>&1 | grep -q "depends on uninitialised value" || found=$?
[ $found = 0 ] || {
    echo "memcheck does not see into coroutines"
    exit 1
}
