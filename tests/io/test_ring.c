/*
 * Rings as other versions of liburing and other limits make them. The calls by which a ring is made
 * come here first.
 */
/* wraps io_uring_queue_init_params */
#include <liburing.h>

#include "tests/support.h"

static atomic_bool no_array; /* liburing 2.5 or later on Linux 6.6 or later */
static atomic_int made;

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params)
{
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

SUPPORT_MAIN("ring", submission_queue_without_an_index_array)
