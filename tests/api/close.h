/*
 * The calls that a close ends, wherever they wait: test_close.c has coroutines make them,
 * test_close_thread.c plain threads.
 */
#ifndef PIRN_TESTS_API_CLOSE_H
#define PIRN_TESTS_API_CLOSE_H

#include "tests/support.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>

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

/* Opens a pair whose first descriptor has exactly that number; another, if the ring of a spare
 * thread that has just come was quicker. */
static inline void close_pair_at(int fd, int ret_pair[2])
{
    support_pair(ret_pair);
    if (ret_pair[1] == fd) { /* they are alike */
        ret_pair[1] = ret_pair[0];
        ret_pair[0] = fd;
    }
    if (ret_pair[0] != fd) {
        int second = fcntl(ret_pair[0], F_DUPFD_CLOEXEC, fd);
        CHECK_GE(second, fd);
        close(ret_pair[0]);
        ret_pair[0] = second;
    }
}

/* A thread (its tid is there): in the kernel, waiting for its descriptor. From then on a close
 * finds it. */
static inline void close_until_waiting(struct user *u)
{
    char path[64], line[32];
    int nr = -1;
    support_until(&u->tid, 1);
    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(&u->tid));
    while (nr != SYS_ppoll) {
        CHECK(!atomic_load(&u->over));
        FILE *file = fopen(path, "r");
        CHECK(file);
        if (fgets(line, sizeof(line), file) == NULL || sscanf(line, "%d", &nr) != 1)
            nr = -1; /* it runs */
        fclose(file);
        pirn_yield();
    }
}

#endif
