/* wraps pirn_sys_futex_wake */
/* wraps sched_yield */
/*
 * Of many threads that wait for an event most are woken while it is still being set, and wait until
 * that is done: asleep, not taking turns on the cores with who sets it.
 */
#include "tests/support.h"

#include <sched.h>

enum {
    THREADS = 24, /* three times as many as are woken when it has been set */
    EACH = 128    /* yields, and more */
};

int __real_pirn_sys_futex_wake(const void *word, int count);
int __wrap_pirn_sys_futex_wake(const void *word, int count);
int __real_sched_yield(void);
int __wrap_sched_yield(void);

static pirn_event event;
static atomic_bool setting;
static atomic_int wakes, yields, waiting;

int __wrap_pirn_sys_futex_wake(const void *word, int count)
{
    int rc = __real_pirn_sys_futex_wake(word, count);
    if (atomic_load(&setting)) {
        atomic_fetch_add(&wakes, 1);
        usleep(20000); /* who has been woken gets to run */
    }
    return rc;
}

int __wrap_sched_yield(void)
{
    if (atomic_load(&setting))
        atomic_fetch_add(&yields, 1);
    return __real_sched_yield();
}

static void *wait_for_it(void *arg)
{
    (void)arg;
    atomic_fetch_add(&waiting, 1);
    CHECK_OK(pirn_event_wait(&event, PIRN_NEVER));
    return NULL;
}

/* How many were woken one by one. */
static int set_it(int patience_ms)
{
    pthread_t threads[THREADS];
    CHECK_OK(pirn_event_init(&event));
    atomic_store(&waiting, 0);
    atomic_store(&wakes, 0);
    atomic_store(&yields, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(pthread_create(&threads[i], NULL, wait_for_it, NULL));
    while (atomic_load(&waiting) < THREADS)
        usleep(1000);
    usleep((unsigned)patience_ms * 1000);
    atomic_store(&setting, true);
    CHECK_OK(pirn_event_set(&event));
    atomic_store(&setting, false);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(pthread_join(threads[i], NULL));
    CHECK_LE(atomic_load(&yields), THREADS * EACH);
    return atomic_load(&wakes);
}

START_TEST(threads_sleep_until_an_event_has_been_set)
{
    for (int ms = 50; set_it(ms) < THREADS; ms *= 2) /* not all were asleep */
        ;
}
END_TEST

SUPPORT_MAIN("event_crowd", threads_sleep_until_an_event_has_been_set)
