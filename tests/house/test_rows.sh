#!/bin/sh
# tests/rows.txt: no required row is missing there, each is either checked or open, and every check that
# it names is a test that runs, a seed with an expectation, or a script.
set -eu
cd "${SOURCE_DIR:-$(dirname "$0")/../..}"
list=tests/rows.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
miss() {
    echo "rows.txt: $*"
    failed=1
}

# ---- Rows: those of the lines "required" and no others, and open means no check
sed -n 's/^required //p' $list | tr ' ' '\n' | sort >"$work/required"
uniq -d "$work/required" >"$work/twice"
sed '/^#/d; /^required /d; /^$/d' $list >"$work/lines"
cut -d' ' -f1 "$work/lines" | sort -u >"$work/rows"
grep ' open: .' "$work/lines" | cut -d' ' -f1 | sort >"$work/open"
grep -v ' open: ' "$work/lines" | cut -d' ' -f1 | sort -u >"$work/checked"
while read -r row; do miss "$row is required twice"; done <"$work/twice"
for row in $(comm -23 "$work/required" "$work/rows"); do miss "$row is missing"; done
for row in $(comm -13 "$work/required" "$work/rows"); do miss "nobody requires $row"; done
for row in $(comm -12 "$work/open" "$work/checked"); do miss "$row is open and checked"; done
[ "$(wc -l <"$work/rows")" -ge 270 ] || miss "it is cut short"

# ---- Checks
# A test is what a macro at the start of a line defines, and what the program's main names; a program
# without tests of Check's, has functions, which are defined and called.
is_there() { # file, name
    if grep -Eq "^[A-Z_]+\($2[,)]" "$1"; then
        sed -n '/^[A-Z]*_MAIN(/,$p; /^int main(/,$p' "$1" | grep -q "\b$2\b"
    else
        ! grep -q "START_TEST" "$1" && grep -Eq "^[a-z].*[ *]$2\(" "$1" &&
            { [ "$2" = main ] || grep -q "^ .*\b$2\b" "$1"; }
    fi
}

count=0
while read -r row check rest; do
    count=$((count + 1))
    case $check in
        open:) [ -n "$rest" ] || miss "$row does not say why it is open" ;;
        seed/*)
            number=${check#seed/}
            case $number in
                *-*) pattern=${number%%-*}_*-${number#*-}.expected ;;
                *) pattern=${number}_*.expected ;;
            esac
            set -- api/examples/seeds/$pattern
            [ -e "$1" ] || miss "$row: there is no $check"
            ;;
        *.c:* | *.cc:*)
            file=tests/${check%%:*}
            if [ ! -e "$file" ]; then
                miss "$row: there is no $file"
            elif ! is_there "$file" "${check#*:}"; then
                miss "$row: $file does not run ${check#*:}"
            fi
            ;;
        *.sh) [ -e "tests/$check" ] || miss "$row: there is no tests/$check" ;;
        *) miss "$row: what is $check?" ;;
    esac
    case $check in
        open:) ;;
        *) [ -z "$rest" ] || miss "$row: one check a line" ;;
    esac
done <"$work/lines"
[ $count -ge 270 ] || miss "it has $count lines"
echo "$(wc -l <"$work/rows") rows, $(wc -l <"$work/open") of them open"
exit $failed
