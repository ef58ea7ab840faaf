#!/bin/sh
# wrk against the server: keep-alive and pipelined, not one error, and every worker alive afterwards.
# serial
set -eu
. "$SOURCE_DIR/tests/http/server.sh"
command -v wrk >/dev/null || exit 77

cat >"$work/pipeline.lua" <<'END'
init = function()
    local all = {}
    for i = 1, 16 do all[i] = wrk.format("GET", "/") end
    request_all = table.concat(all)
end
request = function() return request_all end
END
for workers in 1 2 4; do
    export PIRN_WORKERS=$workers
    serve "$BIN_DIR/seeds/s260_web_server" 0
    for script in "" "-s $work/pipeline.lua"; do
        # shellcheck disable=SC2086 # the option and its argument
        wrk -t1 -c50 -d1s $script "$url/" >"$work/wrk.out"
        cat "$work/wrk.out"
        ! grep -E 'Socket errors|Non-2xx' "$work/wrk.out"
        requests=$(awk '/requests in/ { print $1 }' "$work/wrk.out")
        [ "$requests" -ge 100 ]
    done
    same "$(curl -sS "$url/")" '{"Hello":"World"}'
    stop
done
! [ -s "$work/server.err" ]
