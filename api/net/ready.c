/*
 * Waiting for one of several descriptors.
 *
 * One descriptor is a poll. Several are put into an epoll set for the length of the wait, and that
 * is polled: it is a descriptor like any other. So a wait is one operation, ended by one cancel, in
 * a coroutine as on a plain thread, and leaves nothing behind. (Rejected: a task for each
 * descriptor, which needs a runtime and a scope, and costs two switches each. A set that stays: two
 * system calls saved where there are several, which is rare, for a descriptor more per lookup.)
 * If there is no set to be had, one looks every millisecond, as api/poll.c does.
 */
#include <errno.h>

#include "api/net/net.h"
#include "api/transfer.h"
#include "io/sys.h"

static int wait_one(struct pollfd *p, pirn_time deadline)
{
    int events = pirn_poll(p->fd, (unsigned)p->events, deadline);
    if (events < 0)
        return events;
    p->revents = (short)events;
    return 1;
}

/* 0, or more: look. */
static int wait_several(const struct pollfd *fds, size_t n, pirn_time deadline)
{
    int set = sys_epoll_create();
    int rc = set < 0 ? set : 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = sys_epoll_add(set, fds[i].fd, (unsigned)fds[i].events);
    rc = rc == 0 ? pirn_poll(set, POLLIN, deadline)
                 : pirn_sleep(earlier(pirn_after_ms(1), deadline));
    if (set >= 0)
        sys_close(set);
    return rc;
}

int pirn_net_wait_any(struct pollfd *fds, size_t n, pirn_time deadline)
{
    if (n == 0) {
        int rc = pirn_sleep(deadline);
        return rc == 0 ? -ETIMEDOUT : rc;
    }
    if (n == 1)
        return wait_one(fds, deadline);
    for (;;) {
        int rc = wait_several(fds, n, deadline);
        if (rc < 0)
            return rc;
        rc = sys_poll(fds, n, 0);
        if (rc != 0 && rc != -EINTR)
            return rc;
        if (is_past(deadline))
            return -ETIMEDOUT;
    }
}

int pirn_net_set_nonblocking(int fd, bool on)
{
    int flags = sys_fcntl(fd, F_GETFL, 0);
    if (flags < 0)
        return flags;
    int rc = sys_fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
    return rc < 0 ? rc : 0;
}
