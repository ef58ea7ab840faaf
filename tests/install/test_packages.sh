#!/bin/sh
# What is missing is named by the Debian package that has it: the configuration ends for what it cannot do
# without, and goes on without the rest. Only .pc files that are shown to it here are there.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/pc"

show() { # a library's .pc file, and those it wants
    for module in "$@"; do
        dir=$(pkg-config --variable=pcfiledir "$module")
        cp "$dir/$module.pc" "$work/pc/"
    done
}

configure() { # options: rc, and what is said in $work/said
    rc=0
    rm -rf "$work/build"
    PKG_CONFIG_LIBDIR="$work/pc" cmake -S "$SOURCE_DIR" -B "$work/build" -G Ninja -DCMAKE_C_COMPILER="$CC" \
        -DHTTP_PARSER_INCLUDE=HTTP_PARSER_INCLUDE-NOTFOUND "$@" >"$work/said" 2>&1 || rc=$?
    tr '\n' ' ' <"$work/said" | tr -s ' ' >"$work/line" # messages are wrapped
}

says() { # word...
    for word in "$@"; do
        grep -q -e "$word" "$work/line" || {
            echo "not a word of $word in:"
            cat "$work/said"
            exit 1
        }
    done
}

configure -DPIRN_PROGRAMS=OFF
[ "$rc" != 0 ]
says 'liburing is missing (on Debian: apt-get install liburing-dev)'
show liburing
configure -DPIRN_PROGRAMS=OFF
[ "$rc" != 0 ]
says 'ck is missing (on Debian: apt-get install libck-dev)'
show ck
configure -DPIRN_PROGRAMS=OFF
[ "$rc" = 0 ]
says 'looked up on threads (on Debian: apt-get install libc-ares-dev)' \
    'libpirn-tls is not built (on Debian: apt-get install libssl-dev)' \
    'libpirn-http is not built (on Debian: apt-get install libjansson-dev)'
configure -DPIRN_PROGRAMS=OFF -DPIRN_TLS=ON
[ "$rc" != 0 ]
says 'openssl>=3.0 is missing (on Debian: apt-get install libssl-dev)'
configure -DPIRN_PROGRAMS=ON -DPIRN_TLS=OFF
[ "$rc" != 0 ]
says 'check is missing (on Debian: apt-get install check)' libcurl4-openssl-dev libpq-dev libmariadb-dev
! grep -q libssl-dev "$work/line"
