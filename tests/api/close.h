/*
 * The calls that a close ends, wherever they wait: test_close.c has coroutines make them,
 * test_close_thread.c plain threads.
 */
#ifndef PIRN_TESTS_API_CLOSE_H
#define PIRN_TESTS_API_CLOSE_H

#include "tests/support.h"

#include <poll.h>

struct user {
    int fd;
    ssize_t (*call)(struct user *u);
    char buf[16];
    atomic_int began, tid, over; /* what a test waits for, as it needs */
    ssize_t rc;
};

static inline ssize_t u_recv(struct user *u)
{
    return pirn_recv(u->fd, u->buf, sizeof(u->buf), 0, PIRN_NEVER);
}

static inline ssize_t u_recvmsg(struct user *u)
{
    struct iovec vec = {u->buf, sizeof(u->buf)};
    struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
    return pirn_recvmsg(u->fd, &msg, 0, pirn_after_s(1000));
}

static inline ssize_t u_read(struct user *u)
{
    return pirn_read(u->fd, u->buf, sizeof(u->buf), PIRN_NEVER);
}

static inline ssize_t u_poll(struct user *u)
{
    return pirn_poll(u->fd, POLLIN, PIRN_NEVER);
}

static inline ssize_t u_send(struct user *u) /* its buffer was filled up before */
{
    return pirn_send(u->fd, u->buf, sizeof(u->buf), 0, PIRN_NEVER);
}

static inline ssize_t u_write(struct user *u)
{
    return pirn_write(u->fd, u->buf, sizeof(u->buf), PIRN_NEVER);
}

#endif
