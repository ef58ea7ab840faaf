# For test_asyncio.sh and test_go.sh: a document for who comes from another language is held to what it says.
# They set document, language (what its programs are marked with), names (a file) and programs (how many), and
# have two functions: there_is, true where the other language is, and run_other PROGRAM, which prints what the
# file PROGRAM.$language does.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# ---- Names: a line of the list is a name of the other language
while read -r name; do
    case $name in '' | '#'*) continue ;; esac
    grep -qF "\`$name\`" "$document" || {
        echo "${document##*/} does not name $name"
        failed=1
    }
done <"$names"

# ---- Programs: N.c, N.$language, and N.text, what both print
awk -v work="$work" -v language="$language" '
    /^```$/ { if (file != "") close(file); file = ""; next }
    /^```[a-z]+$/ {
        kind = substr($0, 4)
        if (kind == language)
            number++
        file = work "/" number "." kind
        printf "" >file
        next
    }
    file != "" { print >file }' "$document"
head='^    #include <\(.*\)>$'
count=0
there=no
! there_is 2>/dev/null || there=yes
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
    if [ $there = yes ]; then
        run_other "$program" >"$program.output" 2>&1 || true
        diff "$text" "$program.output" || failed=1
    fi
done
[ $count -eq "$programs" ] || {
    echo "there are $count programs"
    failed=1
}
exit $failed
