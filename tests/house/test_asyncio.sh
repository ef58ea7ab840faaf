#!/bin/sh
# api/asyncio.md: its C programs build and print what it says, and so do the Python programs beside
# them, where there is a Python 3.13 (PYTHON, or python3); and it names everything of asyncio.
# serial
set -eu
document=$SOURCE_DIR/api/asyncio.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# ---- Names: a line of the list is a name of Python 3.13's documented asyncio
while read -r name; do
    case $name in '' | '#'*) continue ;; esac
    grep -qF "\`$name\`" "$document" || {
        echo "asyncio.md does not name $name"
        failed=1
    }
done <"$SOURCE_DIR/tests/house/asyncio_names.txt"

# ---- Programs: N.c, N.python, and N.text, what both print
awk -v work="$work" '
    /^```$/ { if (file != "") close(file); file = ""; next }
    /^```(python|c|text)$/ {
        language = substr($0, 4)
        if (language == "python")
            number++
        file = work "/" number "." language
        printf "" >file
        next
    }
    file != "" { print >file }' "$document"
head='^    #include <\(.*\)>$'
count=0
for text in "$work"/*.text; do
    program=${text%.text}
    count=$((count + 1))
    if [ -z "$PIRN_SANITIZE" ]; then
        {
            sed -n "s/$head/#include <\\1>/p" "$document"
            cat "$program.c"
            sed -n 's/^    int main/int main/p' "$document"
        } >"$program.full.c"
        $CC -O2 -Wall -Wextra -Werror -I"$SOURCE_DIR/api/include" "$program.full.c" \
            -L"$BUILD_DIR" -lpirn -Wl,-rpath,"$BUILD_DIR" -o "$program"
        "$program" >"$program.output" 2>&1 || {
            echo "C program ${program##*/} failed"
            failed=1
        }
        diff "$text" "$program.output" || failed=1
    fi
    python=${PYTHON:-python3}
    if "$python" -c 'import asyncio; asyncio.QueueShutDown' 2>/dev/null; then
        "$python" "$program.python" >"$program.output" 2>&1 || true
        diff "$text" "$program.output" || failed=1
    fi
done
[ $count -eq 5 ] || {
    echo "there are $count programs"
    failed=1
}
exit $failed
