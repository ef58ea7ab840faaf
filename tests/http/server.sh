# For the scripts of this folder: a program that serves in the background, and curl. Sourced.
[ -e "$BIN_DIR/seeds/s260_web_server" ] || exit 77 # without libpirn-http
command -v curl >/dev/null || exit 77
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

serve() { # program, arguments: sets server and url
    : >"$work/server.out" # what a server before it has said
    "$@" >>"$work/server.out" 2>"$work/server.err" &
    server=$!
    until grep -q 'listening on' "$work/server.out"; do
        kill -0 "$server" || exit 1
        sleep 0.05
    done
    url=http://$(sed -n 's/^listening on //p' "$work/server.out")
}

stop() { # by SIGINT; it must end by itself, with 0
    kill -INT "$server"
    wait "$server"
    server=
}

same() { # got, wanted
    [ "$1" = "$2" ] || {
        echo "got '$1', wanted '$2'"
        exit 1
    }
}
