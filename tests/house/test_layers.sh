#!/bin/sh
# The arrows between the rooms point down: api -> runtime -> {sched, io}; only io/ names liburing; no
# file of the library is longer than 400 lines. Of io/, api/ sees the clock and the system calls only.
set -eu
cd "${SOURCE_DIR:-$(dirname "$0")/../..}"

bad=$(
    for file in runtime/*.[chS] sched/*.[ch] io/*.[ch] api/*.[ch] api/*/*.[ch] api/include/pirn/*.h \
        api/examples/seeds/*.c; do
        [ -f "$file" ] || continue
        case $file in
        io/*) allowed='io/' door=1 ;;
        sched/*) allowed='sched/' door=0 ;;
        runtime/*) allowed='runtime/|sched/|io/' door=0 ;;
        api/examples/seeds/*) allowed='seeds\\.h$|\\.\\./with_[a-z]+\\.h$' door=0 ;;
        api/examples/*) allowed='with_[a-z]+\\.h$' door=0 ;;
        api/include/*) allowed='nothing' door=0 ;;
        api/*) allowed='api/|runtime/|io/(clock|sys)\\.h' door=0 ;;
        esac
        # Comments may name anything: they are cut out first, keeping the line numbers.
        awk -v file="$file" -v allowed="^($allowed)" -v door="$door" '
        {
            line = $0
            if (within && !sub(/^.*\*\//, "", line)) next
            within = 0
            gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", line)
            if (sub(/\/\*.*$/, "", line)) within = 1
            sub(/\/\/.*$/, "", line)
            if (line ~ /^[ \t]*#[ \t]*include[ \t]*"/) {
                split(line, part, "\"")
                if (part[2] !~ allowed)
                    print file ":" NR ": may not include \"" part[2] "\""
            }
            gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
            if (file ~ /^(io|sched)\// && line ~ /#[ \t]*include[ \t]*<pirn\.h>/)
                print file ":" NR ": knows nothing of <pirn.h>"
            if (!door && line ~ /liburing|io_uring_|IORING_/)
                print file ":" NR ": only io/ may name liburing: " $0
        }
        END { if (NR > 400 && file !~ /pirn\.h$/) print file ": " NR " lines, 400 at most" }
        ' "$file"
    done
)
if [ -n "$bad" ]; then
    echo "$bad"
    exit 1
fi
