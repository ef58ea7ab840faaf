#!/bin/sh
# Installs what is missing, builds, and compares:
#
#   sh perf/run.sh                                a single loop with M:N, in three minutes
#   sh perf/run.sh ROW... [rounds=5] [noisy=ok]   the record: rows beside their peers; `all`: every one
#
# asyncio, uvloop, Go, Tokio and the others take part when their toolchains are here; nothing is
# installed for them. From the environment: BUILD_DIR (build), CC, CMAKE_ARGS, JOBS (all CPUs).
set -eu
cd "$(dirname "$0")/.."
PIRN_BEGIN=$(date +%s)
export PIRN_BEGIN

missing_of() { # package...
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || printf ' %s' "$package"
    done
}

may_install() { # sets sudo
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo=sudo
    else
        return 1
    fi
}

install() { # package...
    echo "== installing $*"
    $sudo apt-get update -q
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

missing=$(missing_of gcc libc6-dev cmake ninja-build pkg-config liburing-dev libck-dev libc-ares-dev \
    check python3)
plots=
[ $# = 0 ] || command -v gnuplot >/dev/null || plots=gnuplot-nox # only the record needs it
if [ -n "$missing" ] && ! may_install; then
    echo "Some packages are missing. As root, run this and try again:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends$missing${plots:+ $plots}" >&2
    exit 1
fi
# shellcheck disable=SC2086 # the names are meant to be split
[ -z "$missing" ] || install $missing
if [ -n "$plots" ]; then
    may_install && install $plots || echo "== no $plots, hence no plots"
fi

BUILD_DIR=${BUILD_DIR:-build}
export BUILD_DIR
echo "== building pirn in $BUILD_DIR"
# shellcheck disable=SC2086 # the arguments are meant to be split
cmake -B "$BUILD_DIR" -G Ninja -DPIRN_PROGRAMS=ON ${CMAKE_ARGS:-} >/dev/null
cmake --build "$BUILD_DIR" -j "${JOBS:-$(nproc)}" --target perf
[ $# = 0 ] || exec python3 -B perf/record.py "$@"
exec python3 -B perf/showcase.py
