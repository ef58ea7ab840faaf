#!/bin/sh
# The shared libraries export what the headers declare and nothing else; every global symbol of the static
# ones begins with pirn_.
set -eu
[ -z "$PIRN_SANITIZE" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() { # library, without its ending; headers
    library=$1
    shift
    cat "$@" | sed 's|/\*.*\*/||' |
        sed -n 's/^PIRN_API .*[ *]\(pirn_[a-z0-9_]*\)(.*/\1/p' | sort >"$work/declared"
    nm -D --defined-only "$library.so" | awk '{ print $3 }' | sort >"$work/exported"
    [ -s "$work/declared" ]
    diff "$work/declared" "$work/exported"
    # DW.ref...: the compiler's own, hidden, of a file with exceptions; the linker merges them.
    bad=$(nm -g --defined-only "$library.a" | awk 'NF == 3 && $3 !~ /^(pirn_|DW\.ref\.)/ { print $3 }')
    if [ -n "$bad" ]; then
        echo "global symbols without the prefix pirn_:"
        echo "$bad"
        exit 1
    fi
}

cd "$SOURCE_DIR/api/include"
# shellcheck disable=SC2046 # names without spaces
check "$BUILD_DIR/libpirn" pirn.h $(ls pirn/*.h | grep -vE '^pirn/(http|tls)(_[a-z]*)?\.h$')
for other in http tls; do
    [ ! -e "$BUILD_DIR/api/$other/libpirn-$other.so" ] ||
        check "$BUILD_DIR/api/$other/libpirn-$other" "pirn/$other"*.h
done
