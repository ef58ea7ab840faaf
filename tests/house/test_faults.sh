#!/bin/sh
# Each system call of io/ and runtime/ can be made to fail (the head of io/sys.c): every function of
# io/sys*.c asks first, under its own name, and nobody calls the system past them. In a signal's handler,
# which runs no code of the program that a fault could mislead, runtime/overflow.c does.
set -eu
cd "${SOURCE_DIR:-$(dirname "$0")/../..}"

names=$(sed -n 's/^[a-z_][a-z_ ]* \**sys_\([a-z0-9_]*\)(.*/\1/p' io/sys*.c)
[ "$(echo "$names" | wc -l)" -gt 50 ] || { echo "the functions of io/sys*.c are not found: blind"; exit 1; }
bad=$(
    awk '
    /^[a-z_].* \**sys_[a-z0-9_]+\(/ { match($0, /sys_[a-z0-9_]+\(/); name = substr($0, RSTART + 4, RLENGTH - 5) }
    /^}/ { if (name != "") print FILENAME ": sys_" name " cannot be made to fail"; name = "" }
    { if (name != "" && index($0, "INJECT(" name ")")) name = "" }
    ' io/sys*.c
    for file in runtime/*.[ch] sched/*.[ch] io/*.[ch]; do
        case $file in io/sys*) continue ;; esac
        # Comments may name anything: they are cut out first, keeping the line numbers.
        awk -v file="$file" -v names="$names" '
        BEGIN { n = split(names, name, "\n"); name[++n] = "syscall" }
        {
            line = $0
            if (within && !sub(/^.*\*\//, "", line)) next
            within = 0
            gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", line)
            if (sub(/\/\*.*$/, "", line)) within = 1
            gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
            for (i = 1; i <= n; i++)
                if (line ~ "(^|[^A-Za-z0-9_.>])" name[i] "\\(" && line !~ /^[a-z].*;$/)
                    print file ":" NR ": calls " name[i] ", not sys_" name[i]
        }' "$file"
    done | grep -vE '^runtime/overflow.c:[0-9]+: calls (write|sigaction),' || true
)
if [ -n "$bad" ]; then
    echo "$bad"
    exit 1
fi
