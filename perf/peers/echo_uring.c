/*
 * The floor of row echo: what a bare io_uring loop can do, without coroutines, a scheduler or
 * stealing. One ring per thread with the flags pirn uses (a peer may have to serve a stuck worker's
 * ring, so no DEFER_TASKRUN); answers by a direct send.
 *
 *   echo_uring workers=N how=recv|select|poll|multishot
 *
 *   recv       a one-shot receive each, as pirn does
 *   select     a one-shot receive into a buffer of a ring, picked when there is something to put
 *              there
 *   poll       a multishot poll and a direct recv. It holds the socket open after a close(2)
 *   multishot  a multishot receive into a buffer ring. It takes bytes nobody has asked for yet
 *
 * Messages per CPU second over the epoll loop's, medians of 5 in turns, at 64 connections (1,000):
 * 1 thread   recv 0.95 (0.95)   poll 0.94 (0.93)   multishot 0.91 (0.89)
 * 2 threads  recv 0.89 (0.96)   poll 0.92 (1.01)   multishot 0.90 (0.98)
 * So nothing is to be had by what only poll or multishot can do, and recv is what pirn does.
 * select, in another series, 1 thread, CPU per message over recv's, medians of 8 (6) pairs at 64
 * (1,000) connections: 1.05 (1.04); multishot beside it 1.07 (0.98).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFERS = 4096, /* of the buffer ring */
    SIZE = 256,
    MAX_FDS = 16384
};

static enum {
    RECV,
    SELECT,
    POLL,
    MULTISHOT
} how;
static char own[MAX_FDS][SIZE]; /* one-shot: a buffer for each connection */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 1024) < 0)
        fail("listen");
    return fd;
}

static struct io_uring_sqe *entry(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (sqe)
        return sqe;
    io_uring_submit(ring);
    return io_uring_get_sqe(ring);
}

static void await(struct io_uring *ring, int fd)
{
    struct io_uring_sqe *sqe = entry(ring);
    switch (how) {
    case RECV:
        io_uring_prep_recv(sqe, fd, own[fd], SIZE, 0);
        sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
        break;
    case SELECT:
        io_uring_prep_recv(sqe, fd, NULL, SIZE, 0);
        sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
        sqe->flags |= IOSQE_BUFFER_SELECT;
        break;
    case POLL:
        io_uring_prep_poll_multishot(sqe, fd, POLLIN);
        break;
    case MULTISHOT:
        io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
        sqe->flags |= IOSQE_BUFFER_SELECT;
        break;
    }
    io_uring_sqe_set_data64(sqe, (uint64_t)fd);
}

static void answer(struct io_uring *ring, int fd, const char *buf, ssize_t n, bool again)
{
    if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
        shutdown(fd, SHUT_RDWR), close(fd);
    else if (again)
        await(ring, fd);
}

static void complete(struct io_uring *ring, struct io_uring_buf_ring *br, char (*buffers)[SIZE],
                     const struct io_uring_cqe *cqe)
{
    int fd = (int)cqe->user_data, id = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    bool again = !(cqe->flags & IORING_CQE_F_MORE);
    char buf[4096];
    switch (how) {
    case RECV:
        answer(ring, fd, own[fd], cqe->res, true);
        break;
    case POLL:
        answer(ring, fd, buf, cqe->res > 0 ? recv(fd, buf, sizeof buf, MSG_DONTWAIT) : -1, again);
        break;
    case SELECT:
    case MULTISHOT:
        if (cqe->res == -ENOBUFS) {
            await(ring, fd);
            break;
        }
        answer(ring, fd, buffers[id], cqe->res, again);
        if (cqe->flags & IORING_CQE_F_BUFFER) {
            io_uring_buf_ring_add(br, buffers[id], SIZE, (unsigned short)id,
                                  io_uring_buf_ring_mask(BUFFERS), 0);
            io_uring_buf_ring_advance(br, 1);
        }
        break;
    }
}

static struct io_uring_buf_ring *make_buffers(struct io_uring *ring, char (*buffers)[SIZE])
{
    struct io_uring_buf_ring *br = NULL;
    struct io_uring_buf_reg reg = {.ring_entries = BUFFERS};
    if (posix_memalign((void **)&br, 4096, BUFFERS * sizeof(struct io_uring_buf)))
        fail("posix_memalign");
    reg.ring_addr = (uint64_t)(uintptr_t)br;
    if (io_uring_register_buf_ring(ring, &reg, 0) < 0)
        fail("io_uring_register_buf_ring");
    io_uring_buf_ring_init(br);
    for (int i = 0; i < BUFFERS; i++)
        io_uring_buf_ring_add(br, buffers[i], SIZE, (unsigned short)i,
                              io_uring_buf_ring_mask(BUFFERS), i);
    io_uring_buf_ring_advance(br, BUFFERS);
    return br;
}

/* Never returns. */
static void *loop(void *arg)
{
    int listener = *(int *)arg;
    char(*buffers)[SIZE] = calloc(BUFFERS, SIZE);
    struct io_uring_params params = {.flags = IORING_SETUP_COOP_TASKRUN |
                                              IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                                              IORING_SETUP_CQSIZE,
                                     .cq_entries = 4096};
    struct io_uring ring;
    if (!buffers || io_uring_queue_init_params(256, &ring, &params) < 0)
        fail("io_uring_queue_init_params");
    struct io_uring_buf_ring *br =
        how == MULTISHOT || how == SELECT ? make_buffers(&ring, buffers) : NULL;
    struct io_uring_sqe *sqe = entry(&ring);
    io_uring_prep_accept(sqe, listener, NULL, NULL, 0);
    io_uring_sqe_set_data64(sqe, (uint64_t)listener);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, n = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            n++;
            if (cqe->user_data != (uint64_t)listener) {
                complete(&ring, br, buffers, cqe);
                continue;
            }
            if (cqe->res >= 0 && cqe->res < MAX_FDS) {
                setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
                await(&ring, cqe->res);
            }
            sqe = entry(&ring);
            io_uring_prep_accept(sqe, listener, NULL, NULL, 0);
            io_uring_sqe_set_data64(sqe, (uint64_t)listener);
        }
        io_uring_cq_advance(&ring, n);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int workers = 1, listeners[64];
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "workers=", 8))
            workers = atoi(argv[i] + 8);
        if (!strcmp(argv[i], "how=select"))
            how = SELECT;
        if (!strcmp(argv[i], "how=poll"))
            how = POLL;
        if (!strcmp(argv[i], "how=multishot"))
            how = MULTISHOT;
    }
    if (workers < 1 || workers > 64)
        return 2;
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    listeners[0] = listen_on(0);
    if (getsockname(listeners[0], (struct sockaddr *)&addr, &len) < 0)
        fail("getsockname");
    for (int i = 1; i < workers; i++) {
        pthread_t thread;
        listeners[i] = listen_on(ntohs(addr.sin_port));
        if (pthread_create(&thread, NULL, loop, &listeners[i]))
            fail("pthread_create");
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    loop(&listeners[0]);
    return 0;
}
