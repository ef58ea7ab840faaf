/* A loop of calls that always succeed at once still ends when it is cancelled, at W = 1 too. */
#include "tests/support.h"

#include <fcntl.h>
#include <poll.h>

struct loop {
    long (*step)(struct loop *l); /* >= 0, or what ended the loop */
    int fds[2], file;
    pirn_future *set;
    pirn_scope *scope;
    atomic_int turns;
};

static char buf[64];

static long step_recv(struct loop *l)
{
    return pirn_recv(l->fds[0], buf, sizeof(buf), MSG_PEEK, PIRN_NEVER);
}

static long step_recvmsg(struct loop *l)
{
    struct iovec vec = {buf, sizeof(buf)};
    struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
    return pirn_recvmsg(l->fds[0], &msg, MSG_PEEK, PIRN_NEVER);
}

static long step_send(struct loop *l)
{
    long rc = pirn_send(l->fds[0], "ping", 4, 0, PIRN_NEVER);
    if (rc == 4)
        CHECK_EQ(support_read(l->fds[1], buf, 4), 4);
    return rc;
}

static long step_poll(struct loop *l)
{
    return pirn_poll(l->fds[0], POLLIN, PIRN_NEVER);
}

static long step_read(struct loop *l)
{
    return pirn_read(l->file, buf, sizeof(buf), PIRN_NEVER); /* at the end: 0 */
}

static long step_pread(struct loop *l)
{
    return pirn_pread(l->file, buf, sizeof(buf), 0, PIRN_NEVER);
}

static long step_pwrite(struct loop *l)
{
    return pirn_pwrite(l->file, "data", 4, 0, PIRN_NEVER);
}

static long step_future(struct loop *l)
{
    return pirn_future_await(l->set, NULL, NULL, PIRN_NEVER);
}

static long step_yield(struct loop *l)
{
    (void)l;
    return pirn_yield();
}

static long step_sleep(struct loop *l)
{
    (void)l;
    return pirn_sleep(PIRN_NOW);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static long step_scope(struct loop *l)
{
    return pirn_scope_spawn(l->scope, nothing, NULL, PIRN_NEVER);
}

static long step_blocking(struct loop *l)
{
    (void)l;
    return pirn_blocking(nothing, NULL, NULL, PIRN_NEVER);
}

static long step_open(struct loop *l)
{
    (void)l;
    int fd = pirn_openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0, PIRN_NEVER);
    if (fd >= 0)
        close(fd);
    return fd;
}

static int go_round(void *arg)
{
    struct loop *l = arg;
    long rc;
    if (l->step == step_scope)
        CHECK_OK(pirn_scope_open(&l->scope, 1));
    while ((rc = l->step(l)) >= 0)
        atomic_fetch_add(&l->turns, 1);
    if (l->step == step_scope)
        CHECK_OK(pirn_scope_close(l->scope, PIRN_NEVER));
    return (int)rc;
}

static const struct {
    const char *name;
    long (*step)(struct loop *l);
} kinds[] = {
    {"recv", step_recv},         {"recvmsg", step_recvmsg}, {"send", step_send},
    {"poll", step_poll},         {"read", step_read},       {"pread", step_pread},
    {"pwrite", step_pwrite},     {"future", step_future},   {"yield", step_yield},
    {"sleep", step_sleep},       {"scope", step_scope},     {"open", step_open},
    {"blocking", step_blocking},
};

static int run_loops(void *arg)
{
    (void)arg;
    struct loop l = {.file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
    CHECK_GE(l.file, 0);
    support_pair(l.fds);
    support_send_all(l.fds[1], "always", 6);
    CHECK_OK(pirn_future_new(&l.set));
    CHECK_OK(pirn_future_set(l.set, 0, NULL));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (int k = 0; k < support_rounds(10); k++) {
            l.step = kinds[i].step;
            atomic_store(&l.turns, 0);
            pirn_task *task = support_spawn_named(kinds[i].name, go_round, &l);
            support_until(&l.turns, 100); /* it goes round, and others run beside it */
            CHECK_OK(pirn_cancel(task, "enough"));
            CHECK_EQ(support_join(task), -ECANCELED);
        }
    }
    pirn_release(l.set);
    close(l.fds[0]);
    close(l.fds[1]);
    close(l.file);
    return 0;
}

START_TEST(always_succeeding)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, run_loops, NULL));
}
END_TEST

SUPPORT_MAIN("endless", always_succeeding)
