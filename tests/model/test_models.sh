#!/bin/sh
# Checks the models with spin, over all interleavings. Each must come out right as it stands, and
# must be refuted with each of the mistakes listed in its head (built with -DBUG_NAME): that shows
# that the check can see them. "wide" as an argument adds larger sizes (some minutes, 3 GiB).
# Needs spin and a C compiler, else exits 77.
set -eu
command -v spin >/dev/null || exit 77
cd "$(dirname "$0")"
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# verify MODEL right|wrong rest|live [-DMACRO ...]
verify() {
    model=$1 expected=$2 mode=$3
    shift 3
    rm -rf "$work/run" && mkdir "$work/run" && cd "$work/run"
    cp "$here/$model.pml" model.pml
    optimise=-O2
    [ "$expected" = wrong ] && optimise=-O0 # most of the time goes into compiling
    case $mode in
    rest) safety=-DSAFETY options= ;;
    live) safety= options='-a -f' ;; # weak fairness: everybody gets to do its steps
    esac
    spin -a "$@" model.pml >report || { cat report; exit 1; }
    ${CC:-cc} $optimise -w -DNFAIR=3 $safety pan.c -o pan
    ./pan $options -m1000000 >report || true
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' report)
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' report)
    case $expected:$errors in
    right:0 | wrong:[1-9]*) verdict=ok ;;
    *) verdict=FAILED ;;
    esac
    grep -Eq 'search depth too small|out of memory|hash table is full' report && verdict='CUT SHORT'
    [ "$verdict" = ok ] || { failed=1 && cat report; }
    echo "$model $mode $*: ${errors:-no} errors, ${states:-no} states: $verdict"
    cd "$here"
}

for model in park wait bound pass biased select strand scope drop; do
    verify $model right rest
    # The mistakes' names stand in the model's head, one in a line.
    bugs=$(sed -n 's/^ \*   \([A-Z]*_[A-Z_]*\) .*/\1/p' $model.pml)
    for bug in ${bugs:?no mistakes listed in $model.pml}; do
        grep -Eq "^#if.*BUG_$bug\b" $model.pml || { echo "$model: no $bug in it"; exit 1; }
        verify $model wrong rest -DBUG_$bug
    done
done
verify park right rest -DEACH=1 -DCOMPLETIONS=1
verify park right live -DLIVENESS
verify wait right rest -DWAITS=4
verify bound right rest -DSTEPS=8
verify scope right rest -DLIMIT=2
verify drop right rest -DCOLLECTORS=2 -DROUNDS=1
if [ "${1:-}" = wide ]; then
    verify drop right rest -DCOLLECTORS=2
    verify park right rest -DPUSHERS=2 -DEACH=1
    verify park right rest -DEACH=1 -DCOMPLETIONS=2
    verify park right live -DLIVENESS -DPUSHERS=2 -DEACH=1
fi
exit $failed
