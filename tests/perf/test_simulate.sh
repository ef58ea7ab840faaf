#!/bin/sh
# The simulator: a run is repeated exactly, every task runs once and ends, and one worker under Poisson
# arrivals is the queue of the textbook (M/M/1: a task waits load / (1 - load) services).
set -eu
simulate=$BIN_DIR/simulate
[ -x "$simulate" ] || exit 77 # not built with sanitizers

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

value() { # KEY FILE
    sed -n "s/^$1=//p" "$2"
}

for run in 'poisson workers=8 tasks=4000 load=70' 'poisson workers=8 tasks=4000 load=70 acceptors=1' \
    'tree workers=64 tasks=1000' 'pairs workers=3 tasks=3000' 'producer workers=16 tasks=4000'; do
    # shellcheck disable=SC2086 # the arguments are meant to be split
    "$simulate" $run seed=5 >"$work/one"
    # shellcheck disable=SC2086
    "$simulate" $run seed=5 >"$work/two"
    cmp "$work/one" "$work/two" || fail "$run: not the same again"
    [ "$(value tasks "$work/one")" = "$(value ended "$work/one")" ] || fail "$run: tasks are lost"
done
"$simulate" poisson workers=8 tasks=4000 load=70 seed=5 >"$work/one"
"$simulate" poisson workers=8 tasks=4000 load=70 seed=6 >"$work/two"
! cmp -s "$work/one" "$work/two" || fail "another seed makes no difference"

# In exact numbers on the very jobs, and in the long run. What the machine takes its time for is off, or
# as much as the 1 us that is allowed for.
for load in 50 80; do
    "$simulate" poisson workers=1 acceptors=1 tasks=200000 load=$load timer_ns=0 sleep_ns=0 >"$work/one"
    awk -v load=$load -v mean="$(value wait_mean_us "$work/one")" \
        -v exact="$(value exact_wait_mean_us "$work/one")" 'BEGIN {
        textbook = 20 * load / (100 - load)
        if (mean < exact || mean > exact * 1.03 + 1 || exact > 1.06 * textbook || exact < 0.94 * textbook) {
            print "load " load ": waits of " mean " us, " exact " without overhead, " textbook " by the book"
            exit 1
        }
    }' >&2 || exit 1
done

"$simulate" skynet leaves=1000 workers=4 | grep -q '^ns_per_op=' || fail 'bench rows do not run'
"$simulate" tree workers=2 line_ns=x 2>/dev/null && fail 'line_ns=x passes for a number'
"$simulate" tree workers=2 lines=1 tasks=10 2>/dev/null >/dev/null && fail 'an unknown key passes'
exit 0
