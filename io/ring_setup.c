/* A ring is made, with what the kernel knows of, and unmade; see ring.h. Constants that Debian 12's
 * headers lack are given here. */
#include "io/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fault.h"
#include "io/sys.h"
#include "io/valgrind.h"

#define ENTER_NO_IOWAIT (1u << 7) /* 6.15 */
#define FEAT_NO_IOWAIT (1u << 17)
#define FEAT_BUNDLES (1u << 14) /* 6.10, which also brought a bit to poll before an accept */

static int setup(unsigned entries, struct io_uring *uring, struct io_uring_params *params)
{
#ifdef PIRN_HARD
    int fault = pirn_fault("io_uring_setup"); /* liburing makes this call, not sys.c */
    if (fault != 0)
        return fault;
#endif
    return io_uring_queue_init_params(entries, uring, params);
}

/* Not 0, 1 or 2, in a program that lacks one: what it prints would come here, and what it puts
 * there, to be a daemon, would close this. 0, or an error, and *fd is as before. */
static int lift_above_stdio(int *fd)
{
    if (*fd > STDERR_FILENO)
        return 0;
    int above = sys_fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (above < 0)
        return above;
    sys_close(*fd);
    *fd = above;
    return 0;
}

static int setup_with_best_flags(struct ring *r, unsigned entries, unsigned completions)
{
    static const unsigned flag_sets[] = {
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_SUBMIT_ALL, /* before 5.19 */
        0,                       /* before 5.18 */
    };
    int rc = -EINVAL;
    for (size_t i = 0; i < sizeof(flag_sets) / sizeof(flag_sets[0]) && rc == -EINVAL; i++) {
        struct io_uring_params params = {0};
        params.flags = flag_sets[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        params.cq_entries = completions;
        rc = setup(entries, &r->uring, &params);
    }
    return rc;
}

/* A ring may be mapped where another one was: what that one's threads did there comes first. The
 * kernel has it so; this is for ThreadSanitizer, which does not see liburing map and unmap. */
static _Atomic unsigned unmapped;

int pirn_ring_init(struct ring *r, unsigned entries, unsigned completions, bool patient)
{
    enum {
        TRIES = 7,
        LEAST_COMPLETIONS = 256
    };
    memset(r, 0, sizeof(*r));
    r->event_fd = -1;
    int rc = setup_with_best_flags(r, entries, completions);
    /* RLIMIT_MEMLOCK counts rings per user, and the kernel uncounts a closed one a little later:
     * wait for that, up to 0.1 s in all, and make do with a smaller one. */
    for (int i = 0; i < TRIES && patient && rc == -ENOMEM; i++) {
        struct timespec pause = clock_timespec((int64_t)1000000 << i);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        if (i >= TRIES / 2 && completions > LEAST_COMPLETIONS)
            completions /= 2;
        rc = setup_with_best_flags(r, entries, completions);
    }
    if (rc != 0)
        return rc == -EINVAL ? -ENOSYS : rc;
    atomic_load_explicit(&unmapped, memory_order_acquire); /* pairs with pirn_ring_destroy */
    rc = lift_above_stdio(&r->uring.ring_fd);
    r->uring.enter_ring_fd = r->uring.ring_fd;
    if (rc < 0) {
        io_uring_queue_exit(&r->uring);
        return rc;
    }
    if ((r->uring.features & IORING_FEAT_EXT_ARG) == 0 ||
        (r->uring.features & IORING_FEAT_NODROP) == 0) {
        io_uring_queue_exit(&r->uring);
        return -ENOSYS; /* before 5.11: no wait with a timeout */
    }
    io_uring_ring_dontfork(&r->uring);
    /* NULL: liburing (2.5 and later) has agreed with the kernel (6.6) to do without. */
    for (unsigned i = 0; r->uring.sq.array != NULL && i < r->uring.sq.ring_entries; i++)
        r->uring.sq.array[i] = i;
    r->wait_flags = r->uring.features & FEAT_NO_IOWAIT ? ENTER_NO_IOWAIT : 0;
    r->accept_polls = (r->uring.features & FEAT_BUNDLES) != 0;
    r->on_valgrind = RUNNING_ON_VALGRIND != 0;

    /* Can a ring be sent a message without having one? Ask with a message to ourselves. */
    rc = pirn_ring_wake(r);
    if (rc != 0) {
        r->event_fd = sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        rc = r->event_fd < 0 ? r->event_fd : lift_above_stdio(&r->event_fd);
        if (rc < 0) {
            pirn_ring_destroy(r);
            return rc;
        }
    }
    return 0;
}

void pirn_ring_destroy(struct ring *r)
{
    /* release: pairs with the acquire in pirn_ring_init */
    atomic_fetch_add_explicit(&unmapped, 1, memory_order_release);
    io_uring_queue_exit(&r->uring);
    if (r->event_fd >= 0)
        sys_close(r->event_fd);
}

void pirn_ring_limit_helpers(struct ring *r, unsigned helpers)
{
    unsigned limits[2] = {helpers, helpers}; /* for files and block devices; for all else */
    sys_io_uring_register(r->uring.ring_fd, IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2);
}
