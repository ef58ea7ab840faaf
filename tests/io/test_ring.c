/*
 * Rings as another liburing makes them, and rings for which there is no memory. The calls by which
 * one is made, and is waited for, come here first.
 */
/* wraps io_uring_queue_init_params */
/* wraps clock_nanosleep */
#include <liburing.h>

#include "tests/support.h"

static atomic_bool no_array; /* liburing 2.5 or later on Linux 6.6 or later */
static atomic_int made;
static atomic_int no_memory; /* so many rings fail, as beyond RLIMIT_MEMLOCK */
static atomic_int failed, slept;
static _Thread_local bool failed_here; /* this thread had one fail, and has made none since */

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params)
{
    if (atomic_load(&no_memory) > 0) {
        atomic_fetch_sub(&no_memory, 1);
        atomic_fetch_add(&failed, 1);
        failed_here = true;
        return -ENOMEM;
    }
    failed_here = false;
    int rc = __real_io_uring_queue_init_params(entries, ring, params);
    if (rc == 0 && atomic_load(&no_array)) {
        /* What a kernel does that has no array. */
        for (unsigned i = 0; ring->sq.array != NULL && i < ring->sq.ring_entries; i++)
            ring->sq.array[i] = i;
        ring->sq.array = NULL;
    }
    if (rc == 0)
        atomic_fetch_add(&made, 1);
    return rc;
}

int __real_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                           struct timespec *left);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                           struct timespec *left);

int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                           struct timespec *left)
{
    if (failed_here)
        atomic_fetch_add(&slept, 1);
    return __real_clock_nanosleep(clock, flags, time, left);
}

/* ---- No index array -------------------------------------------------------------------------- */

static int read_late(void *arg)
{
    const int *fd = arg;
    char word[8];
    CHECK_EQ(pirn_read(*fd, word, sizeof(word), PIRN_NEVER), 5);
    CHECK_OK(memcmp(word, "hello", 5));
    return 0;
}

static int through_a_pipe(void *arg)
{
    int pipe[2];
    (void)arg;
    for (int i = 0; i < 1000; i++) { /* more than the queue has entries */
        support_pipe(pipe);
        pirn_task *reader = support_spawn(read_late, &pipe[0]);
        support_until_waiting(reader);
        CHECK_EQ(pirn_write(pipe[1], "hello", 5, PIRN_NEVER), 5);
        CHECK_OK(support_join(reader));
        CHECK_OK(pirn_close(pipe[0]));
        CHECK_OK(pirn_close(pipe[1]));
    }
    return 0;
}

START_TEST(submission_queue_without_an_index_array)
{
    atomic_store(&no_array, true);
    FOR_WORKERS(w)
    {
        atomic_store(&made, 0);
        CHECK_OK(support_run(w, through_a_pipe, NULL));
        CHECK_GE(atomic_load(&made), w);
    }
    atomic_store(&no_array, false);
}
END_TEST

/* ---- No memory for a ring -------------------------------------------------------------------- */

enum {
    SHORT = 4, /* a worker's ring is tried eight times */
    LONG = 20
};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int counts(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* The monitor's attempts to start a spare fail for a while: it goes on looking. */
static int computes_without_a_spare(void *arg)
{
    atomic_int ran = 0;
    (void)arg;
    atomic_store(&failed, 0);
    atomic_store(&slept, 0);
    atomic_store(&no_memory, LONG);
    pirn_task *task = support_spawn(counts, &ran);
    while (atomic_load(&ran) == 0) {}
    CHECK_EQ(atomic_load(&failed), LONG);
    CHECK_EQ(atomic_load(&slept), 0);
    return support_join(task);
}

START_TEST(memory_for_a_workers_ring_is_waited_for)
{
    atomic_store(&slept, 0);
    atomic_store(&no_memory, SHORT);
    CHECK_OK(support_run(1, nothing, NULL));
    CHECK_EQ(atomic_load(&slept), SHORT);
}
END_TEST

START_TEST(the_monitor_does_not_wait_for_memory_for_a_spares_ring)
{
    CHECK_OK(support_run(1, computes_without_a_spare, NULL));
}
END_TEST

SUPPORT_MAIN("ring", submission_queue_without_an_index_array,
             memory_for_a_workers_ring_is_waited_for,
             the_monitor_does_not_wait_for_memory_for_a_spares_ring)
