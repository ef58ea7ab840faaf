/*
 * Poll.
 *
 * The ring's poll also ends when the peer has shut down its way of sending (POLLRDHUP), and nobody
 * has asked for that. So does its wait for room in a socket: it tries the send again, finds no
 * room, and after 128 times a kernel helper thread waits, of which there are four. Four such peers
 * that do not read, and no other of their kind is sent anything. So
 *
 *   1. who sends waits by a poll, and sends in place (transfer.c)
 *   2. a poll that has ended with nothing that was asked for goes on with an epoll set, which
 *      tells what was asked for alone, and is polled in the descriptor's stead
 *
 * That takes a descriptor and four system calls more, where it comes to it. If no descriptor is to
 * be had, one looks every millisecond.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "api/transfer.h"
#include "io/sys.h"

/* Without waiting: the events, 0, or an error. */
static int look(int fd, unsigned events)
{
    struct pollfd p = {fd, (short)events, 0};
    int n;
    do {
        n = sys_poll(&p, 1, 0);
    } while (n == -EINTR); /* a signal can do that even to a poll that does not wait */
    return n <= 0 ? n : (p.revents & POLLNVAL) != 0 ? -EBADF : p.revents;
}

/* 0: look again. */
static int wait_in_set(struct wait *w, const char *what, int fd, unsigned events,
                       pirn_time deadline)
{
    int set = sys_epoll_create();
    int rc = set >= 0 ? sys_epoll_add(set, fd, events) : set;
    if (rc == 0) {
        /* It is an operation on fd, for a close of that. */
        struct args a = {OP_POLL, fd, NULL, (size_t)set + 1, POLLIN, 0};
        pirn_wait_renew(w);
        rc = pirn_transfer_submit(w, what, &a, deadline);
    } else {
        pirn_time again = pirn_after_ms(1);
        rc = pirn_sleep(again.ns < deadline.ns ? again : deadline);
    }
    if (set >= 0)
        sys_close(set);
    return rc < 0 ? rc : 0;
}

int pirn_transfer_ready(struct wait *w, const char *what, int fd, unsigned events,
                        pirn_time deadline)
{
    const unsigned shown = events | POLLERR | POLLHUP;
    struct args a = {OP_POLL, fd, NULL, 0, events, 0};
    int rc = pirn_transfer_stay(w, fd, (events & POLLOUT) != 0);
    if (rc != 0)
        return rc;
    if (w->task == NULL)
        return pirn_fd_wait(fd, events, deadline.ns);
    rc = pirn_transfer_submit(w, what, &a, deadline);
    if (rc > 0)
        rc &= (int)shown;
    while (rc == 0) {
        rc = wait_in_set(w, what, fd, events, deadline);
        if (rc == 0)
            rc = look(fd, events);
        if (rc == 0 && is_past(deadline))
            rc = -ETIMEDOUT;
    }
    return rc;
}

int pirn_poll(int fd, unsigned events, pirn_time deadline)
{
    struct wait w;
    int rc = pirn_transfer_begin(&w, fd, NULL, 0);
    if (rc == 0)
        rc = look(fd, events);
    if (rc != 0)
        return rc;
    if (is_past(deadline))
        return -ETIMEDOUT;
    rc = pirn_transfer_ready(&w, "poll", fd, events, deadline);
    pirn_transfer_end(&w);
    return rc;
}
