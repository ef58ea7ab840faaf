#!/bin/sh
# The aarch64 context switch, cross-compiled with the switch's own test and run under qemu; then
# every file of libpirn is compiled for aarch64, to see that nothing in it is bound to x86-64.
set -eu
cross=aarch64-linux-gnu-gcc
command -v $cross >/dev/null && command -v qemu-aarch64 >/dev/null || exit 77
cd "$SOURCE_DIR"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

flags="-std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -I. -Iapi/include"
# shellcheck disable=SC2086 # flags are meant to be split
$cross $flags -static tests/runtime/test_switch.c runtime/context_aarch64.S -o "$work/switch"
qemu-aarch64 "$work/switch"

# liburing's, CK's and c-ares's headers are the same on every CPU; they come from this machine, after the
# cross compiler's own.
mkdir "$work/include"
for header in /usr/include/liburing* /usr/include/ck_* /usr/include/gcc /usr/include/spinlock \
    /usr/include/ares*; do
    [ ! -e "$header" ] || ln -s "$header" "$work/include/"
done
cares=-DPIRN_CARES
[ -e /usr/include/ares.h ] || cares=
for file in api/*.c api/*/*.c runtime/*.c io/*.c sched/*.c; do
    case $file in api/examples/* | api/http/* | api/tls/*) continue ;; esac
    # shellcheck disable=SC2086
    $cross $flags $cares -idirafter "$work/include" -c "$file" -o "$work/object.o" || {
        echo "$file does not compile for aarch64"
        exit 1
    }
done
