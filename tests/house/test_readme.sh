#!/bin/sh
# The README's first program is at most 25 lines long, builds, and prints what the README says.
# serial
set -eu
[ -z "$PIRN_SANITIZE" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

block() { # language: the first fenced block of it
    sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$SOURCE_DIR/README.md" | sed '/^```/d'
}
block c >"$work/first.c"
block text >"$work/expected"
lines=$(wc -l <"$work/first.c")
[ "$lines" -gt 5 ] && [ "$lines" -le 25 ] || {
    echo "the first program has $lines lines"
    exit 1
}
$CC -O2 -Wall -Wextra -Werror -I"$SOURCE_DIR/api/include" "$work/first.c" \
    -L"$BUILD_DIR" -lpirn -Wl,-rpath,"$BUILD_DIR" -o "$work/first"
# Its ticks come before its hogs are done unless the machine stands still for 200 ms: as it may, once.
for look in 1 2 3; do
    "$work/first" >"$work/output"
    ! cmp -s "$work/expected" "$work/output" || exit 0
done
diff "$work/expected" "$work/output"
