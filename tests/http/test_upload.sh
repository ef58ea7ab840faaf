#!/bin/sh
# The example http_upload, asked by curl: JSON in and out and what is refused of it, uploads with and without a
# length that are larger than any limit, and a SIGTERM while one is under way.
set -eu
. "$SOURCE_DIR/tests/http/server.sh"

serve "$BIN_DIR/http_upload" 0
ask() {
    curl -sS --max-time 60 "$@"
}
asked() { # and the status behind it
    ask -w ' %{http_code}' "$@"
}
same "$(asked -d '{"numbers": [1, 2.5, 3]}' "$url/sum")" '{"count":3,"sum":6.5} 200'
same "$(asked -H 'Transfer-Encoding: chunked' -d '{"numbers": []}' "$url/sum")" '{"count":0,"sum":0.0} 200'
same "$(asked -d '{"numbers": [1' "$url/sum")" '{"error":"this is no JSON"} 400'
same "$(asked -d '{"numbers": [1, "2"]}' "$url/sum")" \
    '{"error":"\"numbers\" is to be an array of numbers"} 400'
same "$(asked -d '[]' "$url/sum")" '{"error":"\"numbers\" is to be an array of numbers"} 400'
head -c 100000 /dev/zero | tr '\0' ' ' >"$work/large"
same "$(ask -o /dev/null -w '%{http_code}' --data-binary "@$work/large" "$url/sum")" 413
same "$(ask -o /dev/null -w '%{http_code}' "$url/sum")" 405

seq 500000 >"$work/lines" # 3.4 MB: more than a server's limit where nobody says otherwise
bytes=$(wc -c <"$work/lines")
same "$(asked -T "$work/lines" "$url/upload")" "{\"bytes\":$bytes,\"lines\":500000} 200"
same "$(asked -T - "$url/upload" <"$work/lines")" "{\"bytes\":$bytes,\"lines\":500000} 200"
same "$(asked -X PUT "$url/upload")" '{"bytes":0,"lines":0} 200'
same "$(ask -o /dev/null -w '%{http_code}' --data-binary "@$work/lines" "$url/sum")" 413

# One that is under way when SIGTERM comes may finish.
mkfifo "$work/pipe"
ask -i -T - "$url/upload" <"$work/pipe" >"$work/last" &
last=$!
exec 3>"$work/pipe"
echo one >&3
sleep 0.5 # let it arrive
kill -TERM "$server"
until ! ask -o /dev/null "$url/sum" 2>/dev/null; do sleep 0.05; done # it listens no more
echo two >&3
exec 3>&-
wait "$last"
grep -q '{"bytes":8,"lines":2}' "$work/last"
grep -qi '^Connection: close' "$work/last"
wait "$server"
server=
! [ -s "$work/server.err" ]
