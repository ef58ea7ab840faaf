#!/bin/sh
# Builds every fuzz target with clang's libFuzzer and both sanitizers, and gives each so many inputs:
#   sh tests/fuzz/run.sh [RUNS]        1,000,000 by default; FUZZ_DIR=build-fuzz, FUZZ_SEED=1
# What is found stays there as crash-*, and ends this with an error.
set -eu
cd "$(dirname "$0")/../.."
runs=${1:-1000000}
out=${FUZZ_DIR:-build-fuzz}
mkdir -p "$out"
top=$PWD
parser=${FUZZ_PARSER:-http_parser}
define=
[ "$parser" = llhttp ] && define=-DPIRN_HTTP_LLHTTP
for target in tests/fuzz/fuzz_*.c; do
    name=$(basename "$target" .c)
    echo "== $name"
    # shellcheck disable=SC2086
    clang -std=gnu11 -g -O1 -D_GNU_SOURCE -I. -Iapi/include $define ${FUZZ_CFLAGS:-} \
        -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        "$target" api/http/message.c api/http/table.c api/http/head.c api/http/text.c api/http/url.c \
        api/http/router.c api/stream/delimiter.c "api/http/grammar_$parser.c" ${FUZZ_LIBS:--l$parser} -o "$out/$name"
    (cd "$out" && mkdir -p "$name.corpus" &&
        "./$name" -runs="$runs" -seed="${FUZZ_SEED:-1}" -max_len=2048 -rss_limit_mb=2048 \
            -dict="$top/tests/fuzz/http.dict" -verbosity=0 -print_final_stats=1 "$name.corpus")
done
