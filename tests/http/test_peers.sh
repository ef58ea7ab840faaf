#!/bin/sh
# S168: the client against other servers: python3 -m http.server (HTTP/1.0, closes) and nginx (keep-alive).
# Twenty files at a time, byte-exact.
set -eu
. "$SOURCE_DIR/tests/http/server.sh"

mkdir "$work/www" "$work/got"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    head -c $((i * i * 997)) /dev/urandom >"$work/www/$i"
done

fetch_all() { # port
    set --  "$1" $(seq -f "http://127.0.0.1:$1/%g" 1 20)
    shift
    rm -f "$work"/got/*
    "$BIN_DIR/fetch" -d "$work/got" "$@" >"$work/lines"
    same "$(grep -c '^200 ' "$work/lines")" 20
    for i in $(seq 1 20); do cmp "$work/www/$i" "$work/got/$i"; done
    "$BIN_DIR/fetch" "http://127.0.0.1:$port/none" | grep -q '^404 '
}

found=0
if command -v python3 >/dev/null; then
    found=1
    python3 -u -m http.server --bind 127.0.0.1 --directory "$work/www" 0 >"$work/python.out" 2>&1 &
    server=$!
    until grep -q 'port [0-9]' "$work/python.out"; do
        kill -0 "$server"
        sleep 0.05
    done
    port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/python.out")
    for workers in 1 2 4; do
        PIRN_WORKERS=$workers fetch_all "$port"
    done
    kill "$server"
    wait "$server" || true
    server=
fi

nginx=$(command -v nginx || echo /usr/sbin/nginx)
if [ -x "$nginx" ]; then
    found=1
    port=$((20000 + $$ % 10000))
    cat >"$work/nginx.conf" <<END
daemon off;
master_process off;
pid $work/nginx.pid;
error_log $work/nginx.log;
events {}
http {
    access_log $work/access.log;
    client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
    uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
    server { listen 127.0.0.1:$port; root $work/www; keepalive_requests 7; }
}
END
    "$nginx" -c "$work/nginx.conf" -e "$work/nginx.log" &
    server=$!
    until "$BIN_DIR/fetch" "http://127.0.0.1:$port/1" >/dev/null 2>&1; do
        kill -0 "$server"
        sleep 0.05
    done
    for workers in 1 2 4; do
        PIRN_WORKERS=$workers fetch_all "$port"
    done
    kill "$server"
    wait "$server" || true
    server=
fi
[ $found = 1 ] || exit 77
