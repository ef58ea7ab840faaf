#!/bin/sh
# S171, S172: the tutorial's web server, asked by curl: its two routes, blocking handlers beside each other
# and beside one that does not block, errors, and a SIGINT that lets a running request finish.
# serial
set -eu
export SEED_SECOND_MS=100
. "$SOURCE_DIR/tests/http/server.sh"

serve "$BIN_DIR/seeds/s260_web_server" 0
ask() {
    curl -sS --max-time 60 "$@"
}
same "$(ask "$url/")" '{"Hello":"World"}'
same "$(ask -w ' %{http_code} %{content_type}' "$url/timeit/2")" '"sleep seconds: 2" 200 application/json'
same "$(ask -o /dev/null -w '%{http_code}' "$url/none")" 404
same "$(ask -X POST -o /dev/null -w '%{http_code}' "$url/")" 405
same "$(ask -I "$url/" | tr -d '\r' | grep -i content-length)" 'Content-Length: 17'
same "$(ask "$url/" "$url/" -w '%{num_connects}' -o /dev/null -o /dev/null)" 10 # the second has none to make
same "$(ask -H "X: $(head -c 20000 /dev/zero | tr '\0' a)" -o /dev/null -w '%{http_code}' "$url/")" 431
same "$(ask --http1.0 "$url/")" '{"Hello":"World"}'

# Ten at a time of ten tutorial seconds each; and one that does not block gets through meanwhile.
begin=$(date +%s%N)
for i in 1 2 3 4 5 6 7 8 9 10; do
    ask "$url/timeit/10" >"$work/$i" &
    jobs="${jobs:-} $!"
done
same "$(ask "$url/")" '{"Hello":"World"}'
for job in $jobs; do wait "$job"; done
ms=$((($(date +%s%N) - begin) / 1000000))
for i in 1 2 3 4 5 6 7 8 9 10; do same "$(cat "$work/$i")" '"sleep seconds: 10"'; done
[ "$ms" -ge 1000 ]
[ -n "$PIRN_SANITIZE" ] || [ "$PIRN_HARD" = ON ] || [ "${PIRN_TEST_TIMING:-1}" = 0 ] || [ "$ms" -lt 3000 ] || {
    echo "ten at a time took $ms ms"
    exit 1
}

# A request that runs when SIGINT comes is answered, and the server ends with 0.
ask -i "$url/timeit/20" >"$work/last" &
last=$!
sleep 0.5 # let it arrive
stop
wait "$last"
grep -q '"sleep seconds: 20"' "$work/last"
grep -qi '^Connection: close' "$work/last"
! [ -s "$work/server.err" ]
