/*
 * The port's lock: threads that hold it for long and for short exclude each other, nobody sleeps
 * on, and a try says whether it has it.
 */
#include <pthread.h>
#include <time.h>

#include "io/futex_lock.h"
#include "tests/support.h"

enum {
    THREADS = 4,
    TURNS = 20000
};

static struct {
    struct futex_lock lock;
    long count, held; /* under the lock */
    atomic_long tries;
} shared;

static void *takes_turns(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    for (int i = 0; i < support_rounds(TURNS); i++) {
        seed = seed * 1664525 + 1013904223;
        if (seed >> 31 == 0) {
            futex_lock_take(&shared.lock);
        } else if (!futex_lock_try(&shared.lock)) {
            atomic_fetch_add(&shared.tries, 1);
            continue;
        }
        CHECK_EQ(++shared.held, 1);
        shared.count++;
        if (seed % 512 == 0) /* long enough that the others sleep */
            nanosleep(&(struct timespec){0, 50000}, NULL);
        CHECK_EQ(--shared.held, 0);
        futex_lock_drop(&shared.lock);
    }
    return NULL;
}

START_TEST(threads_exclude_each_other)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];
    futex_lock_init(&shared.lock);
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i * 77 + 1;
        CHECK_OK(-pthread_create(&threads[i], NULL, takes_turns, &seeds[i]));
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(shared.count + atomic_load(&shared.tries), (long)THREADS * support_rounds(TURNS));
}
END_TEST

static void *takes_it_in_the_end(void *arg)
{
    struct futex_lock *lock = arg;
    CHECK(!futex_lock_try(lock));
    futex_lock_take(lock);
    futex_lock_drop(lock);
    return NULL;
}

START_TEST(who_has_to_wait_is_woken)
{
    for (int i = 0; i < support_rounds(200); i++) {
        struct futex_lock lock;
        pthread_t thread;
        futex_lock_init(&lock);
        CHECK(futex_lock_try(&lock));
        CHECK_OK(-pthread_create(&thread, NULL, takes_it_in_the_end, &lock));
        while (atomic_load(&lock.word) != 2) /* it waits, or is about to */
            nanosleep(&(struct timespec){0, 10000}, NULL);
        futex_lock_drop(&lock);
        pthread_join(thread, NULL);
        CHECK(futex_lock_try(&lock));
    }
}
END_TEST

SUPPORT_MAIN("futex_lock", threads_exclude_each_other, who_has_to_wait_is_woken)
