#!/bin/sh
# Compiled for AVX-512 a function has 16 more vector registers, and 8 for masks: it must keep nothing in
# them across a switch (runtime/context.h). many_values.c has more values there than all others would hold.
# The code after the switch is read for a register that has not been written since; and where the CPU
# has AVX-512, it is run.
set -eu
[ "$(uname -m)" = x86_64 ] && [ -z "$PIRN_SANITIZE" ] || exit 77
cd "$SOURCE_DIR"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

done=0
for cc in "$CC" gcc clang; do
    command -v "$cc" >/dev/null || continue
    echo "int x;" >"$work/knows.c"
    "$cc" -march=x86-64-v4 -c "$work/knows.c" -o "$work/knows.o" 2>/dev/null || continue
    for level in -O1 -O2 -O3; do
        "$cc" -std=gnu11 -D_GNU_SOURCE $level -march=x86-64-v4 -Wall -Wextra -Werror -I. \
            tests/codegen/many_values.c runtime/context_x86_64.S -o "$work/many"
        objdump -d --no-show-raw-insn "$work/many" | awk -v what="$cc $level" '
            function registers(text, seen, as,   name) {
                while (match(text, /%([xyz]mm(1[6-9]|2[0-9]|3[01])|k[0-7])/)) {
                    name = substr(text, RSTART + 1, RLENGTH - 1)
                    sub(/^[xyz]/, "", name)
                    if (as == "read" && !(name in seen)) {
                        print what ": " name " is kept across the switch: " $0; bad = 1
                    }
                    if (as == "write") seen[name] = 1
                    text = substr(text, RSTART + RLENGTH)
                }
            }
            /^[0-9a-f]+ <.*>:$/ { within = $2 == "<across>:"; after = 0 }
            !within { next }
            after && !/\t(kxn?or|vpxor|vxor)/ {
                line = $0
                last = line
                sub(/.*, */, "", last) # AT&T: the last operand is written, and its {%k} read
                mask = last
                if (!sub(/^[^{]*/, "", mask)) mask = ""
                if (line ~ /,/) registers(substr(line, 1, length(line) - length(last)), written, "read")
                registers(mask, written, "read")
                sub(/\{.*/, "", last)
                registers(last, written, "write")
                lines++
            }
            after && /\t(kxn?or|vpxor|vxor)/ { last = $0; sub(/.*, */, "", last); registers(last, written, "write") }
            /jmp +\*%rcx/ { after = 1 }
            END { if (lines < 20) { print what ": no code is seen behind the switch: blind"; bad = 1 } exit bad }'
        if grep -qw avx512vl /proc/cpuinfo; then "$work/many"; fi
        done=$((done + 1))
    done
done
[ $done != 0 ] || exit 77
echo "$done times compiled"
