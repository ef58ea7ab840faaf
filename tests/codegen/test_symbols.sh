#!/bin/sh
# The shared library exports what the headers declare and nothing else; every global symbol of the
# static one begins with pirn_.
set -eu
[ -z "$PIRN_SANITIZE" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat "$SOURCE_DIR"/api/include/pirn.h "$SOURCE_DIR"/api/include/pirn/*.h | sed 's|/\*.*\*/||' |
    sed -n 's/^PIRN_API .*[ *]\(pirn_[a-z0-9_]*\)(.*/\1/p' | sort >"$work/declared"
nm -D --defined-only "$BUILD_DIR/libpirn.so" | awk '{ print $3 }' | sort >"$work/exported"
[ -s "$work/declared" ]
diff "$work/declared" "$work/exported"

bad=$(nm -g --defined-only "$BUILD_DIR/libpirn.a" | awk 'NF == 3 && $3 !~ /^pirn_/ { print $3 }')
if [ -n "$bad" ]; then
    echo "global symbols without the prefix pirn_:"
    echo "$bad"
    exit 1
fi
