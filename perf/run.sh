#!/bin/sh
# Installs what is missing, builds, and compares a single loop with M:N:  sh perf/run.sh
#
# asyncio, uvloop, Go and Tokio take part when their toolchains are here; nothing is installed for
# them. From the environment: BUILD_DIR (build), CC, CMAKE_ARGS, JOBS (all CPUs).
set -eu
cd "$(dirname "$0")/.."
PIRN_BEGIN=$(date +%s)
export PIRN_BEGIN

packages="gcc libc6-dev cmake ninja-build pkg-config liburing-dev libck-dev libc-ares-dev check python3"
missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    install="apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo=sudo
    else
        echo "Some packages are missing. As root, run this and try again:" >&2
        echo "  apt-get update && $install" >&2
        exit 1
    fi
    echo "== installing$missing"
    $sudo apt-get update -q
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive $install
fi

BUILD_DIR=${BUILD_DIR:-build}
export BUILD_DIR
echo "== building pirn in $BUILD_DIR"
# shellcheck disable=SC2086 # the arguments are meant to be split
cmake -B "$BUILD_DIR" -G Ninja ${CMAKE_ARGS:-} >/dev/null
cmake --build "$BUILD_DIR" -j "${JOBS:-$(nproc)}" --target bench example_echo
exec python3 -B perf/showcase.py
