/*
 * Plain threads' waits for descriptors; see fd_wait.h.
 */
#include "runtime/fd_wait.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>

#include "io/clock.h"
#include "io/sys.h"
#include "runtime/fork.h"
#include "runtime/self.h"

enum {
    BUCKETS = 64
};

/* By descriptor, modulo their number. */
static struct bucket {
    pthread_mutex_t mutex;
    struct fd_wait *first;
    /* Written under the mutex; says whether to take that. seq_cst, both: see pirn_fd_closes. */
    _Atomic uint32_t count;
} buckets[BUCKETS] = {
    [0 ... BUCKETS - 1] = {PTHREAD_MUTEX_INITIALIZER, NULL, 0},
};

static struct bucket *bucket_of(int fd)
{
    return &buckets[(unsigned)fd % BUCKETS];
}

static void count(struct bucket *b, uint32_t change)
{
    atomic_fetch_add_explicit(&b->count, change, memory_order_seq_cst);
}

/* False: it has no bell. */
static bool enlist(struct fd_wait *w, int fd)
{
    struct bucket *b = bucket_of(fd);
    int bell = sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0)
        return false;
    pirn_fork_prepare();
    pthread_mutex_lock(&b->mutex);
    w->stopped = false;
    w->fd = fd;
    w->bell = bell;
    w->next = b->first;
    w->at = &b->first;
    if (w->next != NULL)
        w->next->at = &w->next;
    b->first = w;
    count(b, 1);
    pthread_mutex_unlock(&b->mutex);
    w->listed = true;
    return true;
}

static bool is_stopped(const struct fd_wait *w)
{
    struct bucket *b = bucket_of(w->fd);
    pthread_mutex_lock(&b->mutex);
    bool stopped = w->stopped;
    pthread_mutex_unlock(&b->mutex);
    return stopped;
}

/* Nobody rings the bell from here on. */
void pirn_fd_wait_leave(struct fd_wait *w)
{
    struct bucket *b = bucket_of(w->fd);
    pthread_mutex_lock(&b->mutex);
    *w->at = w->next;
    if (w->next != NULL)
        w->next->at = w->at;
    count(b, (uint32_t)-1);
    pthread_mutex_unlock(&b->mutex);
    w->listed = false;
    sys_close(w->bell);
}

void pirn_fd_wait_begin(int fd)
{
    struct self *self = pirn_self();
    if (!self->fd_wait.listed && self->worker == NULL)
        enlist(&self->fd_wait, fd);
}

/* Until one of them is ready: > 0, or -errno. */
static int poll_until(struct pollfd *fds, nfds_t n, int64_t deadline)
{
    for (;;) {
        struct timespec ts, *timeout = NULL;
        if (deadline != INT64_MAX) {
            ts = clock_timespec(clock_left(deadline));
            timeout = &ts;
        }
        int rc = sys_ppoll(fds, n, timeout);
        if (rc != -EINTR)
            return rc != 0 ? rc : -ETIMEDOUT;
    }
}

int pirn_fd_wait(int fd, unsigned events, int64_t deadline)
{
    bool waits = deadline > clock_now();
    struct self *self = pirn_self();
    struct fd_wait *w = &self->fd_wait;
    bool refused = waits && self->worker != NULL; /* see park_until in wait.c */
    bool listed = w->listed || (waits && !refused && enlist(w, fd));
    struct pollfd both[2] = {{fd, (short)events, 0}, {w->bell, POLLIN, 0}};
    int rc = poll_until(both, listed ? 2 : 1, refused ? 0 : deadline);
    if (listed && is_stopped(w))
        rc = -EBADF; /* whatever else has come */
    if (rc < 0)
        return rc == -ETIMEDOUT && refused ? -EPERM : rc;
    return (both[0].revents & POLLNVAL) != 0 ? -EBADF : both[0].revents;
}

bool pirn_fd_wait_stop(int fd)
{
    struct bucket *b = bucket_of(fd);
    const uint64_t ring = 1;
    bool any = false;
    if (atomic_load_explicit(&b->count, memory_order_seq_cst) == 0)
        return false;
    pthread_mutex_lock(&b->mutex);
    for (struct fd_wait *w = b->first; w != NULL; w = w->next) {
        if (w->fd != fd)
            continue;
        any = true;
        if (!w->stopped)
            sys_write(w->bell, &ring, sizeof(ring));
        w->stopped = true;
    }
    pthread_mutex_unlock(&b->mutex);
    return any;
}

void pirn_fd_wait_forget(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        pthread_mutex_init(&buckets[i].mutex, NULL); /* its holder did not come along */
        buckets[i].first = NULL;
        atomic_store_explicit(&buckets[i].count, 0, memory_order_relaxed);
    }
}
