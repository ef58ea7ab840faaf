#!/bin/sh
# S168: connections that are switched to another protocol: curl, twenty files of python3 -m http.server at a
# time, through a tunnel (api/examples/http_tunnel.c), and through one whose two ends have nginx between them.
set -eu
. "$SOURCE_DIR/tests/http/server.sh"
nginx=$(command -v nginx || echo /usr/sbin/nginx)
[ -x "$nginx" ] && command -v python3 >/dev/null || exit 77

others=
trap 'for pid in $others; do kill -KILL "$pid" 2>/dev/null || true; done; cleanup' EXIT

port_of() { # file, text before the port, the process that says it: sets port
    until grep -q "$2[0-9]" "$1"; do
        kill -0 "$3"
        sleep 0.05
    done
    port=$(sed -n "s/.*$2\([0-9]*\).*/\1/p" "$1")
}

mkdir "$work/www"
head -c 3000000 /dev/urandom >"$work/www/file"
python3 -u -m http.server --bind 127.0.0.1 --directory "$work/www" 0 >"$work/python.out" 2>&1 &
others="$others $!"
port_of "$work/python.out" ' port ' $!
target=$port

"$BIN_DIR/http_tunnel" --serve "127.0.0.1:$target" >"$work/far.out" 2>"$work/far.err" &
far=$!
others="$others $far"
port_of "$work/far.out" '127.0.0.1:' "$far"
far_port=$port
same "$(curl -s -o "$work/said" -w '%{http_code}' "http://127.0.0.1:$far_port/")" 400

proxy_port=$((20000 + $$ % 10000))
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
    server {
        listen 127.0.0.1:$proxy_port;
        location / {
            proxy_pass http://127.0.0.1:$far_port;
            proxy_http_version 1.1;
            proxy_set_header Upgrade \$http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }
}
END
"$nginx" -c "$work/nginx.conf" -e "$work/nginx.log" &
proxy=$!
others="$others $proxy"
until curl -s -o "$work/said" "http://127.0.0.1:$proxy_port/"; do
    kill -0 "$proxy"
    sleep 0.05
done

for workers in 1 2 4; do
    for to in "$far_port" "$proxy_port"; do
        PIRN_WORKERS=$workers serve "$BIN_DIR/http_tunnel" --to "http://127.0.0.1:$to/"
        for i in 1 2 3; do
            curl -sf "$url/file" >"$work/got"
            cmp "$work/www/file" "$work/got"
        done
        seq 20 | xargs -P 8 -I{} curl -sf -o "$work/got{}" "$url/file"
        for i in $(seq 20); do cmp "$work/www/file" "$work/got$i"; done
        stop
        same "$(cat "$work/server.err")" ""
    done
done
kill -INT "$far"
wait "$far"
same "$(cat "$work/far.err")" ""
