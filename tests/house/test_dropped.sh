#!/bin/sh
# A result that is dropped, and with it a reference, a descriptor, a lock, or a call that was never
# made, is a compiler warning; one that is looked at is none.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() { # a statement
    cat >"$work/unit.c" <<END
#include <pirn.h>
int unit(pirn_task **task, pirn_fn fn, void *arg, pirn_mutex *mutex, pirn_scope *scope, int fd);
int unit(pirn_task **task, pirn_fn fn, void *arg, pirn_mutex *mutex, pirn_scope *scope, int fd)
{
    (void)task, (void)fn, (void)arg, (void)mutex, (void)scope, (void)fd;
    $1
    return 0;
}
END
    $CC -std=gnu11 -Wall -Wextra -Werror=unused-result -I"$SOURCE_DIR/api/include" -c "$work/unit.c" \
        -o "$work/unit.o" 2>"$work/messages"
}

while read -r call; do
    if compile "$call;"; then
        echo "no warning: $call"
        exit 1
    fi
    grep -q 'unused-result' "$work/messages"
    compile "if ($call < 0) return -1;" || {
        echo "does not compile: $call"
        cat "$work/messages"
        exit 1
    }
done <<'END'
pirn_spawn(task, fn, arg)
pirn_spawn_with(task, NULL, fn, arg)
pirn_coroutine_new(task, NULL, fn, arg)
pirn_call_soon(NULL, NULL, fn, arg)
pirn_call_at(NULL, NULL, fn, arg, PIRN_NOW)
pirn_add_done_callback(*task, NULL, NULL, arg)
pirn_await(*task, NULL, PIRN_NEVER)
pirn_join(*task, NULL, PIRN_NEVER)
pirn_future_new(task)
pirn_future_await(*task, NULL, NULL, PIRN_NEVER)
pirn_scope_open(&scope, 0)
pirn_scope_spawn(scope, fn, arg, PIRN_NEVER)
pirn_mutex_lock(mutex, PIRN_NEVER)
pirn_mutex_try_lock(mutex)
pirn_blocking(fn, arg, NULL, PIRN_NEVER)
pirn_accept(fd, NULL, NULL, 0, PIRN_NEVER)
pirn_openat(fd, "x", 0, 0, PIRN_NEVER)
pirn_dir_open(NULL, fd, "x", PIRN_NEVER)
pirn_file_load("x", NULL, NULL, 0, PIRN_NEVER)
END
