/*
 * What the tests of locks and signals share.
 */
#ifndef PIRN_TESTS_ASYNCIO_SYNC_H
#define PIRN_TESTS_ASYNCIO_SYNC_H

#include "tests/support.h"

#include <sched.h>
#include <stdio.h>

/* Waits until the thread that has stored its id in *tid is asleep in what it does next, or gone. */
static inline void sync_until_asleep(atomic_int *tid)
{
    char path[64], state = 0;
    support_until(tid, 1);
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(tid));
    while (state != 'S') {
        FILE *file = fopen(path, "re");
        if (file == NULL)
            return;
        if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
            state = 'S';
        fclose(file);
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    }
}

/* As support_meet, with a skew of up to 400 ns in most rounds: to meet in a window that narrow. */
static inline void sync_meet_closely(support_barrier *barrier)
{
    int round = atomic_load(&barrier->round);
    if (round % 4 == 0) {
        support_meet(barrier);
        return;
    }
    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == barrier->n) {
        atomic_store(&barrier->arrived, 0);
        atomic_fetch_add(&barrier->round, 1);
    } else {
        for (int i = 0; atomic_load(&barrier->round) == round; i++) {
            if (i > 1000)
                sched_yield();
        }
    }
    for (volatile int i = (int)support_between(0, 400); i > 0; i--) {}
}

/* Someone who calls, in a coroutine or on a plain thread. */
struct caller {
    int (*fn)(struct caller *c);
    void *object;
    pirn_time deadline;
    int id, rc, at;  /* id, at: for the tests */
    pirn_task *task; /* or a thread */
    pthread_t thread;
    atomic_int tid, done;
};

static inline int sync_call(void *arg)
{
    struct caller *c = arg;
    c->rc = c->fn(c);
    atomic_store(&c->done, 1);
    return 0;
}

static inline void *sync_call_on_thread(void *arg)
{
    struct caller *c = arg;
    atomic_store(&c->tid, gettid());
    sync_call(c);
    return NULL;
}

/* Starts it, and waits until it waits (or is through: its deadline may have come). */
static inline void sync_start(struct caller *c, bool thread)
{
    c->rc = c->at = -12345;
    atomic_store(&c->tid, 0);
    atomic_store(&c->done, 0);
    c->task = NULL;
    if (thread) {
        c->thread = support_thread(sync_call_on_thread, c);
        sync_until_asleep(&c->tid);
    } else {
        c->task = support_spawn(sync_call, c);
        support_until_waiting(c->task);
    }
}

/* Waits for its end; what the call returned. */
static inline int sync_finish(struct caller *c)
{
    if (c->task != NULL)
        CHECK_OK(support_join(c->task));
    else
        support_thread_join(c->thread);
    return c->rc;
}

#endif
