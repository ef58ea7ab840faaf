#!/bin/sh
# Tasks, futures, queues and their like are made by the library alone: the headers show no layout of
# what stands behind a pointer, so nobody can build one by hand (S62).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() { # a declaration
    printf '#include <pirn.h>\n%s\n' "$1" >"$work/unit.c"
    $CC -std=gnu11 -I"$SOURCE_DIR/api/include" -c "$work/unit.c" -o "$work/unit.o" \
        2>"$work/messages"
}

for type in pirn_awaitable pirn_task pirn_future pirn_job pirn_runtime pirn_scope pirn_strand \
    pirn_queue pirn_channel pirn_completions pirn_generator pirn_thread_pool pirn_process_pool \
    pirn_process pirn_mailbox pirn_dir pirn_stream; do
    compile "$type *pointer;" || {
        echo "no type $type"
        cat "$work/messages"
        exit 1
    }
    if compile "$type object;"; then
        echo "the layout of $type is public"
        exit 1
    fi
    grep -Eq 'incomplete|storage size|tentative' "$work/messages"
done
