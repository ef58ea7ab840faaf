#!/bin/sh
# The supervisor of the examples: it passes lines on, starts again what ends, however that ends, and leaves
# nothing behind, not even who ignores SIGTERM.
# serial
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2016 # each $$ is the supervised shell's
{
    stubbornly='trap "" TERM; echo $$; while :; do sleep 0.1; done'
    "$BUILD_DIR/bin/supervise" 'echo one; printf two >&2; exit 3' 'kill -9 $$' "$stubbornly" >"$work/said" &
    supervisor=$!
}

until [ "$(grep -c '^1- ended with 3$' "$work/said")" -ge 3 ] &&
    [ "$(grep -c '^2- ended by signal 9$' "$work/said")" -ge 3 ] && grep -q '^3: ' "$work/said"; do
    sleep 0.1
done
stubborn=$(sed -n 's/^3: //p' "$work/said")
kill -0 "$stubborn"
kill -INT $supervisor
kill -TERM $supervisor || true # it does not lose patience with who does, unless it has ended by now
kill -INT $supervisor || true
wait $supervisor

[ "$(grep -c '^1: one$' "$work/said")" -ge 3 ]
[ "$(grep -c '^1! two$' "$work/said")" -ge 3 ]
if grep -v -e '^1: one$' -e '^1! two$' -e '^1- ended with 3$' -e '^2- ended by signal 9$' \
    -e "^3: $stubborn\$" "$work/said"; then
    echo "that was not to be said"
    exit 1
fi
if kill -0 "$stubborn" 2>/dev/null; then
    echo "the third command goes on"
    exit 1
fi
