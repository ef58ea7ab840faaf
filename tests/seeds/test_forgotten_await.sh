#!/bin/sh
# S222: to forget what one makes a coroutine for is a compiler warning.
set -eu
seed=$SOURCE_DIR/api/examples/seeds/s222_forgotten_await.c
flags="-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -I$SOURCE_DIR/api/include -c -o /dev/null"
# shellcheck disable=SC2086 # the flags are meant to be split
messages=$($CC $flags "$seed" 2>&1)
echo "$messages" | grep -q 'pirn_coroutine_new' && echo "$messages" | grep -q 'Wunused-result' || {
    echo "no warning for the coroutine that is forgotten: $messages"
    exit 1
}
[ "$(echo "$messages" | grep -c 'warning:')" = 1 ]
