#!/bin/sh
# Thread-locals and coroutines that move. A coroutine may go on on another thread after a switch,
# while a compiler takes the address of a thread-local (errno is one) for constant in a function: code
# that reads one on both sides of a switch is wrong, however it looks in C. So
#   - pirn_self() alone reads a thread-local and returns; it is never inlined, and two calls with a
#     switch between them stay two calls;
#   - any other function that touches a thread-local, or errno, calls nothing that can come to a switch.
#
# Looks at the disassembly of the shared library (x86-64): its direct calls, after all inlining. The
# stack protector's %fs:0x28 is the same on every thread and does not count.
set -eu
[ "$(uname -m)" = x86_64 ] && [ -z "$PIRN_SANITIZE" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

objdump -d --no-show-raw-insn "$BUILD_DIR/libpirn.so" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name); sub(/\..*/, "", name) }
    (/%fs:/ && !/%fs:0x28/) || /__tls_get_addr/ { if (name == "pirn_self") own = 1; else reads[name] = 1 }
    /jmp +\*%rcx/ && popped { switches[name] = 1 } # how runtime/context.h ends a switch
    { popped = /pop +%rcx/ }
    /(call|j[a-z]+) +[0-9a-f]+ <[^+>]*>/ {
        target = $NF; gsub(/[<>]/, "", target); sub(/@plt|\..*/, "", target)
        if (target == "__errno_location") reads[name] = 1
        else if (target != name) calls[name, target] = 1
    }
    END {
        if (!own) { print "pirn_self is not seen to read a thread-local: this test is blind"; exit 1 }
        do {
            grown = 0
            for (edge in calls) {
                split(edge, end, SUBSEP)
                if (end[2] in switches && !(end[1] in switches)) {
                    switches[end[1]] = 1; grown = 1; count++
                }
            }
        } while (grown)
        if (!("pirn_recv" in switches)) { print "pirn_recv is not seen to switch: blind"; exit 1 }
        for (edge in calls) {
            split(edge, end, SUBSEP)
            if (end[1] in reads && end[2] in switches) {
                print end[1] " reads a thread-local and calls " end[2] ", which may switch"; bad = 1
            }
        }
        for (name in reads) printf "%s ", name
        print "read thread-locals and do not switch; " count " functions may switch"
        exit bad
    }'

for cc in "$CC" gcc clang; do
    command -v "$cc" >/dev/null || continue
    for level in -O1 -O2 -O3; do
        "$cc" -std=gnu11 -D_GNU_SOURCE $level -fPIC -I"$SOURCE_DIR" -I"$SOURCE_DIR/api/include" \
            -c "$SOURCE_DIR/tests/codegen/two_calls.c" -o "$work/two.o"
        calls=$(objdump -dr "$work/two.o" | grep -Ec 'R_X86_64_(PLT32|PC32|GOTPCREL[X]?)[[:space:]]+pirn_self-')
        [ "$calls" = 2 ] || {
            echo "$cc $level: $calls calls of pirn_self around a switch, not 2"
            exit 1
        }
    done
done
