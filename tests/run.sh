#!/bin/sh
# Installs what is missing, builds, and runs every test:  sh tests/run.sh
#
# From the environment: BUILD_DIR (build), CC, CMAKE_ARGS, CTEST_ARGS, JOBS (all CPUs).
set -eu
cd "$(dirname "$0")/.."

packages="gcc g++ libc6-dev cmake ninja-build pkg-config liburing-dev libck-dev libc-ares-dev check spin
    libhttp-parser-dev libjansson-dev curl wrk nginx python3 libssl-dev openssl"
# Other libraries, and their servers (tests/foreign). The tests start their own servers: PostgreSQL is told to
# make no cluster, and no package to start its service (policy-rc.d, as in a chroot).
packages="$packages libpq-dev libmariadb-dev"
pkg-config --exists libcurl 2>/dev/null || packages="$packages libcurl4-openssl-dev" # it excludes its siblings
packages="$packages apache2-bin mariadb-server-core mariadb-client-core postgresql"
missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
no_cluster=/etc/postgresql-common/createcluster.d/pirn-tests.conf
policy=/usr/sbin/policy-rc.d
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
    [ ! -e $policy ] || policy= # the administrator's stays
    trap '$sudo rm -f $no_cluster $policy' EXIT
    trap 'exit 1' INT TERM
    case $missing in *postgresql*)
        $sudo mkdir -p ${no_cluster%/*}
        echo "create_main_cluster = false" | $sudo tee $no_cluster >/dev/null
        ;;
    esac
    if [ -n "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
        $sudo chmod 755 $policy
    fi
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive $install
    $sudo rm -f $no_cluster $policy
    trap - EXIT INT TERM
fi

build=${BUILD_DIR:-build}
jobs=${JOBS:-$(nproc)}
echo "== building in $build"
# shellcheck disable=SC2086 # the arguments are meant to be split
cmake -B "$build" -G Ninja -DPIRN_PROGRAMS=ON ${CMAKE_ARGS:-}
cmake --build "$build" -j "$jobs"
echo "== testing"
# shellcheck disable=SC2086
ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$jobs" ${CTEST_ARGS:-}
