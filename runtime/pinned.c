/*
 * Pinned tasks: each is a thread of its own, for code that needs its thread-locals. No switch is
 * involved: the thread runs the task's function on its native stack and sleeps on the task's cell.
 *
 * A pinned thread never enters a ring: requests belong to the thread that submitted them and would
 * fail with it. Its operations go to a worker's port.
 *
 * Its reference to the task goes when it is through, and may be the last: then it reports an error
 * that nobody has looked at, and drops the value. The runtime's end waits for that
 * (pirn_pinned_wait_gone), as it does for what workers have to do: no hook is called after a run
 * has returned.
 */
#include <errno.h>
#include <limits.h>

#include "io/sys.h"
#include "runtime/overflow.h"
#include "runtime/runtime.h"
#include "runtime/self.h"

static void *pinned_main(void *arg)
{
    struct pirn_task *t = arg;
    struct pirn_runtime *rt = t->rt;
    pirn_overflow_thread_init();
    pirn_worker_block_sigpipe();
    pirn_self()->pinned = t;
    task_set_started(t, STARTED);
    pirn_pinned_enter(rt);
    pirn_task_body(t);
    /* Before it is at work no more: a thread that is counted and not at work sleeps (quiet.c). */
    atomic_fetch_sub_explicit(&rt->pinned_threads, 1, memory_order_relaxed);
    pirn_pinned_leave(rt);
    pirn_self()->pinned = NULL;
    pirn_overflow_thread_fini();
    pirn_task_unref(t);
    /* release: pairs with the acquires in pirn_pinned_wait_gone and is_over (runtime.c). Then there
     * may be no runtime any more: for a wake-up the address is enough. */
    if (atomic_fetch_sub_explicit(&rt->pinned_not_gone, 1, memory_order_release) == 1)
        sys_futex_wake(&rt->pinned_not_gone, INT_MAX);
    return NULL;
}

void pirn_pinned_wait_gone(struct pirn_runtime *rt)
{
    uint32_t n;
    /* acquire: pairs with the release in pinned_main */
    while ((n = atomic_load_explicit(&rt->pinned_not_gone, memory_order_acquire)) != 0)
        sys_futex_wait(&rt->pinned_not_gone, n, NULL);
}

int pirn_pinned_start(struct pirn_task *t)
{
    pthread_attr_t attr;
    pthread_t thread;
    size_t size = t->stack_size != 0 ? t->stack_size : 256 << 10;
    int rc = -pthread_attr_init(&attr);
    if (rc != 0)
        return rc;
    pthread_attr_setstacksize(&attr, size < 64 << 10 ? 64 << 10 : size * PIRN_STACK_SCALE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    atomic_fetch_add_explicit(&t->rt->pinned_threads, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->rt->pinned_not_gone, 1, memory_order_relaxed);
    pirn_awaitable_ref(&t->base); /* the thread's, until its end */
    rc = sys_pthread_create(&thread, &attr, pinned_main, t);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        atomic_fetch_sub_explicit(&t->rt->pinned_threads, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&t->rt->pinned_not_gone, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&t->base.refs, 1, memory_order_relaxed);
    }
    return rc;
}
