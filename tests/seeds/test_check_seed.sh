#!/bin/sh
# What compares seeds with their expectations (check_seed) finds what is wrong. The programs are shell
# scripts here.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0

# good|bad NAME PROGRAM EXPECTATION: lines are separated by newlines; \n in the latter, for printf
verdict() {
    printf '#!/bin/sh\n%s\n' "$3" >"$work/program"
    chmod +x "$work/program"
    printf "$4" >"$work/expected"
    said=good
    "$BIN_DIR/tests/seeds/check_seed" "$work/program" "$work/expected" >"$work/output" 2>&1 || said=bad
    # What is late on a machine that is late itself is tried again with longer seconds, and may be good then.
    [ $said = "$1" ] || { [ $said = good ] && grep -q "but the machine was late" "$work/output"; } || {
        echo "$2: said to be $said:"
        cat "$work/output"
        exit 1
    }
    count=$((count + 1))
}

nap='sleep 0.05' # half a second of a seed's at most
abc='echo a; echo b; echo c'

verdict good "exact lines" "$abc" 'a\nb\nc\n'
verdict good "comments and empty lines" "$abc" '# one\na\n\nb\nc\n'
verdict bad "a line too many" "$abc" 'a\nb\n'
verdict bad "a line too few" "$abc" 'a\nb\nc\nd\n'
verdict bad "another line" "$abc" 'a\nx\nc\n'
verdict bad "nothing at all" ":" 'a\n'
verdict good "nothing at all, as expected" ":" '# silent\n'
verdict bad "half a line" "printf a" 'a\n'

verdict good "an expression" "echo took 12.5 s" '/took [0-9.]+ s/\n'
verdict bad "an expression fits as a whole" "echo it took 12.5 s" '/took [0-9.]+ s/\n'
verdict bad "an expression that does not fit" "echo took long" '/took [0-9.]+ s/\n'

verdict good "any order" "$abc" '[\nc\na\nb\n]\n'
verdict good "any order, with what fits twice" "$abc" '[\n/./\n/[bc]/\na\n]\n'
verdict bad "any order, but each once" "$abc" '[\nc\na\na\n]\n'
verdict bad "a group is over when it is complete" "echo a; echo x; echo b" '[\na\nb\n]\nx\n'
verdict good "interleaved" "echo a; echo x; echo b; echo y" '{\na\nb\n|\nx\ny\n}\n'
verdict good "interleaved, with the same lines" "echo a; echo a; echo b; echo c" '{\na\nc\n|\na\nb\n}\n'
verdict bad "interleaved, but in order" "echo b; echo x; echo a; echo y" '{\na\nb\n|\nx\ny\n}\n'

verdict good "late enough" "sleep 0.45; echo a" '@ 2\na\n'
verdict bad "too early" "$nap; echo a" '@ 20\na\n'
verdict bad "too early in a part" "echo a; $nap; echo b" '{\na\n@ 50\nb\n}\n'
verdict good "a part's time is its own" "echo a; echo x; sleep 0.45; echo b" \
    '{\na\n@ 2\nb\n|\nx\n}\n'
verdict good "no upper bound is broken" "echo a" '@ 0 .. 300\na\n'
if [ -z "$PIRN_SANITIZE" ] && [ "$PIRN_HARD" != ON ] && [ "${PIRN_TEST_TIMING:-1}" != 0 ]; then
    verdict bad "too late" "sleep 1; echo a" '@ 0 .. 1\na\n'
fi

verdict good "an exit status" "echo a; exit 3" '%%exit 3\na\n'
verdict bad "another exit status" "echo a; exit 3" 'a\n'
verdict bad "a signal" 'echo a; kill -9 $$' 'a\n'
verdict bad "noise on stderr" "echo a; echo x >&2" 'a\n'
verdict good "what stderr should say" "echo a; echo it is x >&2" '%%stderr is x$\na\n'
verdict bad "what stderr should say and does not" "echo a; echo y >&2" '%%stderr is x$\na\n'
verdict good "the environment" 'echo $WORD' '%%env WORD=a\na\n'
verdict good "arguments" 'echo $2 $1' '%%args a b\nb a\n'
verdict bad "a directive that is none" "echo a" '%%nonsense\na\n'
[ "$count" -ge 30 ] || exit 1
if [ "$PIRN_SANITIZE" != thread ]; then
    trap_int='trap "echo caught; exit 0" INT; echo a; while :; do sleep 0.02; done'
    verdict good "a signal sent" "$trap_int" '%%signal INT 1\na\n@ 1\ncaught\n'
fi
echo "$count programs judged"
