# Private servers for the scripts beside this one, which read it: all is in a folder of its own, nobody but
# the test is served, and what was started is ended. As root they run as nobody (initdb insists).
# (What they want of Debian comes with packages that start no service: tests/run.sh.)

work=$(mktemp -d)
chmod 755 "$work"
pids=

finish() {
    result=$?
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in $pids; do
        wait "$pid" 2>/dev/null || true
    done
    [ $result = 0 ] || [ $result = 77 ] || tail -n 20 "$work"/*.log 2>/dev/null || true
    rm -rf "$work"
    exit $result
}
trap finish EXIT
trap 'exit 1' INT TERM

wants() { # programs, by path or name: without one of them the test is skipped
    for program in "$@"; do
        command -v "$program" >/dev/null || {
            echo "skipped: there is no $program"
            exit 77
        }
    done
}

nobody=
if [ "$(id -u)" = 0 ]; then
    nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
    chown 65534:65534 "$work"
fi

as_nobody() {
    (cd "$work" && HOME=$work LC_ALL=C TMPDIR=$work exec $nobody "$@")
}

# start LOG PROGRAM...: in the background; its number in $pid
start() {
    log=$work/$1.log
    shift
    (cd "$work" && HOME=$work LC_ALL=C TMPDIR=$work exec $nobody "$@") >"$log" 2>&1 &
    pid=$!
    pids="$pids $pid"
}

# starting PATH: waits for what the server makes when it is ready; 1: it has ended instead
starting() {
    until [ -e "$1" ]; do
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.02
    done
}

# These servers want to be told a port: one below those that the kernel gives away. If somebody has it, the
# next is tried.
some_port() {
    port=$((10000 + $(od -An -N2 -tu2 /dev/urandom) % 20000))
}

# said TEXT: what the last program printed, which is in $work/output
said() {
    grep -qxF -e "$1" "$work/output" || {
        echo "not said: $1"
        cat "$work/output"
        exit 1
    }
}

# failed_with STATUS PROGRAM...
ends_with() {
    want=$1
    shift
    got=0
    "$@" >"$work/output" 2>&1 || got=$?
    [ "$got" = "$want" ] || {
        echo "$1: exit status $got, not $want"
        cat "$work/output"
        exit 1
    }
}

# silent: a server that never answers; its port in $silent_port, its number in $silent
silent() {
    : >"$work/silent"
    "$BIN_DIR/tests/foreign/silent" >"$work/silent" &
    silent=$!
    pids="$pids $silent"
    until grep -q : "$work/silent"; do sleep 0.02; done
    silent_port=$(sed 's/.*://' "$work/silent")
}

silent_ends() {
    kill "$silent"
    wait "$silent" 2>/dev/null || true
}

# The output of what is still running, once it holds the line
until_said() {
    until grep -qxF -e "$1" "$work/output"; do
        sleep 0.02
    done
}
