/*
 * Many receivers of one socket, or readers of one pipe: each message wakes all of them, and after
 * so many times in vain the kernel lets a helper thread wait for one. Those of one socket keep
 * nobody from what has come for another.
 */
#include "sched/tsan.h"
#include "tests/support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum {
    SOCKETS = 4,
    RECEIVERS = 8, /* of each */
    IN_VAIN = 130, /* messages; the kernel has patience for 128 */
};

enum kind {
    DATAGRAMS,
    PIPES,
    SEMAPHORES, /* of the kernel's, with a number of permits: an eventfd */
};

struct receiver {
    int fd;
    enum kind kind;
    atomic_int *held;
};

static atomic_int holding;

static int receive(void *arg)
{
    struct receiver *r = arg;
    uint64_t word;
    ssize_t size = r->kind == SEMAPHORES ? 8 : 1, n;
    while ((n = r->kind == DATAGRAMS ? pirn_recv(r->fd, &word, 1, 0, PIRN_NEVER)
                                     : pirn_read(r->fd, &word, (size_t)size, PIRN_NEVER)) == size) {
        if (atomic_load(&holding) == 0)
            continue;
        atomic_fetch_add(r->held, 1);
        CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
        return -ECANCELED;
    }
    return (int)n;
}

struct place {
    int from, to;
    enum kind kind;
};

static void open_place(struct place *p, enum kind kind)
{
    int pair[2];
    if (kind == DATAGRAMS)
        CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
    else if (kind == PIPES)
        CHECK_OK(pipe2(pair, O_CLOEXEC));
    else
        pair[0] = pair[1] = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
    *p = (struct place){pair[0], pair[1], kind};
}

static void close_place(const struct place *p)
{
    CHECK_OK(close(p->from));
    if (p->to != p->from)
        CHECK_OK(close(p->to));
}

static void put(const struct place *p)
{
    uint64_t one = 1;
    ssize_t size = p->kind == SEMAPHORES ? 8 : 1;
    CHECK_EQ(support_write(p->to, &one, (size_t)size), size);
}

static int put_and_take(void *arg)
{
    const struct place *p = arg;
    uint64_t word = 1;
    struct iovec iov = {&word, p->kind == SEMAPHORES ? 8 : 1};
    bool put = write(p->to, iov.iov_base, iov.iov_len) > 0;
    if (p->kind == DATAGRAMS)
        recv(p->from, &word, 1, MSG_DONTWAIT);
    else
        preadv2(p->from, &iov, 1, -1, RWF_NOWAIT);
    return !put;
}

/* The worker is inside the kernel until it is over, in what shares its memory. TSan forbids that,
 * and the worker does it itself: some are quicker then. */
static int put_and_take_inside(struct place *p)
{
#ifdef PIRN_TSAN
    return put_and_take(p);
#else
    static _Alignas(16) char stack[65536];
    int status;
    pid_t pid = clone(put_and_take, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, p);
    CHECK_GE(pid, 1);
    while (waitpid(pid, &status, 0) < 0)
        CHECK_EQ(errno, EINTR);
    return status;
#endif
}

/* All receivers are woken, and find nothing: they look when their worker leaves the kernel. (Those
 * of other workers may be quicker.) */
static void wake_in_vain(struct place *p)
{
    support_blocking_begin();
    for (int i = 0; i < IN_VAIN; i++)
        CHECK_OK(put_and_take_inside(p));
    support_blocking_end();
}

static int herds(void *arg)
{
    static struct receiver r[SOCKETS][RECEIVERS];
    static atomic_int held[SOCKETS];
    pirn_task *tasks[SOCKETS][RECEIVERS];
    struct place places[SOCKETS];
    enum kind kind = *(const enum kind *)arg;
    atomic_store(&holding, 0);
    for (int s = 0; s < SOCKETS; s++) {
        open_place(&places[s], kind);
        atomic_store(&held[s], 0);
        for (int i = 0; i < RECEIVERS; i++) {
            r[s][i] = (struct receiver){places[s].from, kind, &held[s]};
            tasks[s][i] = support_spawn(receive, &r[s][i]);
        }
    }
    for (int s = 0; s < SOCKETS; s++)
        for (int i = 0; i < RECEIVERS; i++)
            support_until_waiting(tasks[s][i]);
    for (int s = 0; s < SOCKETS; s++)
        wake_in_vain(&places[s]);
    atomic_store(&holding, 1);
    for (int s = SOCKETS - 1; s >= 0; s--) {
        for (int i = 0; i < RECEIVERS; i++)
            put(&places[s]);
        support_until(&held[s], RECEIVERS);
    }
    for (int s = 0; s < SOCKETS; s++) {
        for (int i = 0; i < RECEIVERS; i++) {
            CHECK_OK(pirn_cancel(tasks[s][i], NULL));
            CHECK_EQ(support_join(tasks[s][i]), -ECANCELED);
        }
        close_place(&places[s]);
    }
    return 0;
}

static void herds_of(enum kind kind)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, herds, &kind));
}

START_TEST(receivers_of_one_socket_keep_nobody_from_another)
{
    herds_of(DATAGRAMS);
}
END_TEST

START_TEST(readers_of_one_pipe_keep_nobody_from_another)
{
    herds_of(PIPES);
}
END_TEST

START_TEST(readers_of_one_eventfd_keep_nobody_from_another)
{
    herds_of(SEMAPHORES);
}
END_TEST

SUPPORT_MAIN("net/receivers", receivers_of_one_socket_keep_nobody_from_another,
             readers_of_one_pipe_keep_nobody_from_another,
             readers_of_one_eventfd_keep_nobody_from_another)
