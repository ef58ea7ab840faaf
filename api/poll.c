/*
 * Poll.
 */
#include <errno.h>
#include <poll.h>

#include "api/transfer.h"
#include "io/sys.h"

int pirn_poll(int fd, unsigned events, pirn_time deadline)
{
    struct wait w;
    struct args a = {OP_POLL, fd, NULL, 0, events, 0};
    struct pollfd p = {fd, (short)events, 0};
    int rc = pirn_transfer_begin(&w, fd, NULL, 0);
    if (rc != 0)
        return rc;
    int n;
    while ((n = sys_poll(&p, 1, 0)) ==
           -EINTR) /* a signal can do that even to a poll that does not wait */
        ;
    if (n < 0)
        return n;
    if (n > 0)
        return (p.revents & POLLNVAL) != 0 ? -EBADF : p.revents;
    if (is_past(deadline))
        return -ETIMEDOUT;
    return w.task != NULL ? pirn_transfer_submit(&w, "poll", &a, deadline)
                          : pirn_fd_wait(fd, events, deadline.ns);
}
