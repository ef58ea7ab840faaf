/* wraps pirn_sys_send */
/* wraps pirn_sys_sendmsg */
/* wraps pirn_sys_recv */
/* wraps pirn_registry_stop_fd */
/*
 * pirn_close while a call that has waited is between two waits: its descriptor was ready just now,
 * and it is about to send or receive in place. The close waits for it: else it would meet whatever
 * has the number next.
 */
#include "tests/api/close.h"

#include <fcntl.h>

#include "runtime/registry.h"

ssize_t __real_pirn_sys_send(int fd, const void *buf, size_t n, int flags);
ssize_t __wrap_pirn_sys_send(int fd, const void *buf, size_t n, int flags);
ssize_t __real_pirn_sys_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_pirn_sys_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_pirn_sys_recv(int fd, void *buf, size_t n, int flags);
ssize_t __wrap_pirn_sys_recv(int fd, void *buf, size_t n, int flags);
bool __real_pirn_registry_stop_fd(int fd, const struct fd_users *only);
bool __wrap_pirn_registry_stop_fd(int fd, const struct fd_users *only);

/* The descriptor whose next call in place waits until a close has found somebody there, or is
 * through; how often it has looked; what has the number then. */
static struct {
    atomic_int fd, inside, looks, closed;
    int next[2];
    size_t filled, drained;
    bool after; /* it waits when it has been made */
} scene;

static void hold_up(int fd)
{
    int armed = fd;
    if (!atomic_compare_exchange_strong(&scene.fd, &armed, -1))
        return;
    support_blocking_begin();
    atomic_store(&scene.inside, 1);
    while (atomic_load(&scene.looks) < 2 && !atomic_load(&scene.closed))
        usleep(100);
    support_blocking_end();
}

ssize_t __wrap_pirn_sys_send(int fd, const void *buf, size_t n, int flags)
{
    if (!scene.after)
        hold_up(fd);
    ssize_t sent = __real_pirn_sys_send(fd, buf, n, flags);
    if (scene.after)
        hold_up(fd);
    return sent;
}

ssize_t __wrap_pirn_sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    hold_up(fd);
    return __real_pirn_sys_sendmsg(fd, msg, flags);
}

ssize_t __wrap_pirn_sys_recv(int fd, void *buf, size_t n, int flags)
{
    hold_up(fd);
    return __real_pirn_sys_recv(fd, buf, n, flags);
}

bool __wrap_pirn_registry_stop_fd(int fd, const struct fd_users *only)
{
    atomic_fetch_add(&scene.looks, atomic_load(&scene.inside));
    return __real_pirn_registry_stop_fd(fd, only);
}

static ssize_t u_sendmsg(struct user *u)
{
    struct iovec vec = {u->buf, sizeof(u->buf)};
    struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
    return pirn_sendmsg(u->fd, &msg, 0, PIRN_NEVER);
}

static ssize_t (*const uses[])(struct user *u) = {u_send, u_sendmsg, u_recv};
enum {
    SENDS = 2, /* a coroutine's receive is in the kernel until it is over */
    USES = 3
};

static void *closes(void *arg)
{
    int fd = *(int *)arg;
    while (!atomic_load(&scene.inside))
        usleep(100);
    CHECK_OK(pirn_close(fd));
    close_pair_at(fd, scene.next); /* at once the number is somebody else's, as a rule */
    support_send_all(scene.next[0], "n", 1);
    support_send_all(scene.next[1], "n", 1);
    atomic_store(&scene.closed, 1);
    return NULL;
}

/* The user waits; then its descriptor is ready. */
static void make_ready(const struct user *u, int peer)
{
    atomic_store(&scene.fd, u->fd);
    if (u->call == u_recv)
        support_send_all(peer, "a", 1);
    else
        scene.drained = support_drain(peer);
}

static void check_next(void)
{
    char buf[4];
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(support_read(scene.next[i], buf, sizeof(buf)),
                 1); /* what was sent there, and no more */
        CHECK_EQ(buf[0], 'n');
        close(scene.next[i]);
    }
}

static void begin_scene(struct user *u, ssize_t (*call)(struct user *u), int ret_pair[2])
{
    support_pair(ret_pair);
    *u = (struct user){.fd = ret_pair[0], .call = call, .rc = -1};
    memset(u->buf, 0x5a, sizeof(u->buf));
    if (call != u_recv)
        scene.filled = support_fill(ret_pair[0]);
    atomic_store(&scene.fd, -1);
    atomic_store(&scene.inside, 0);
    atomic_store(&scene.looks, 0);
    atomic_store(&scene.closed, 0);
    scene.after = false;
}

/* It was between two waits, and so it came through, where it was meant to. */
static void check_scene(const struct user *u, int peer)
{
    CHECK_EQ(u->rc, u->call == u_recv ? 1 : (ssize_t)sizeof(u->buf));
    CHECK_EQ(u->buf[0], u->call == u_recv ? 'a' : 0x5a);
    check_next();
    if (u->call != u_recv)
        CHECK_EQ(scene.drained + support_drain(peer), scene.filled + sizeof(u->buf));
    close(peer);
}

/* ---- Coroutines -------------------------------------------------------------------------- */

static int use(void *arg)
{
    struct user *u = arg;
    u->rc = u->call(u);
    return 0;
}

static int close_each(void *arg)
{
    (void)arg;
    for (int i = 0; i < SENDS; i++) {
        struct user u;
        int fds[2];
        begin_scene(&u, uses[i], fds);
        pirn_task *task = support_spawn(use, &u);
        support_until_waiting(task);
        pthread_t closer = support_thread(closes, &fds[0]);
        make_ready(&u, fds[1]);
        CHECK_OK(support_join(task));
        support_thread_join(closer);
        check_scene(&u, fds[1]);
    }
    return 0;
}

START_TEST(a_coroutine_is_waited_for)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, close_each, NULL));
}
END_TEST

/* ---- Plain threads ----------------------------------------------------------------------- */

static void *use_on_thread(void *arg)
{
    struct user *u = arg;
    atomic_store(&u->tid, (int)syscall(SYS_gettid));
    u->rc = u->call(u);
    return NULL;
}

START_TEST(a_thread_is_waited_for)
{
    for (int i = 0; i < USES; i++) {
        struct user u;
        int fds[2];
        begin_scene(&u, uses[i], fds);
        pthread_t thread = support_thread(use_on_thread, &u);
        close_until_waiting(&u);
        pthread_t closer = support_thread(closes, &fds[0]);
        make_ready(&u, fds[1]);
        support_thread_join(thread);
        support_thread_join(closer);
        check_scene(&u, fds[1]);
    }
}
END_TEST

/* ---- Before it has waited ---------------------------------------------------------------- */

static ssize_t u_send_much(struct user *u)
{
    static char much[4 << 20];
    return pirn_send(u->fd, much, sizeof(much), 0, pirn_after_s(5)); /* it does not wait */
}

/* A part has been sent, and the close finds nobody. The rest goes nowhere. */
static void close_after_a_part(bool on_thread)
{
    struct user u;
    int fds[2];
    begin_scene(&u, u_recv, fds);
    u.call = u_send_much;
    scene.after = true;
    atomic_store(&scene.fd, fds[0]);
    pthread_t closer = support_thread(closes, &fds[0]);
    if (on_thread)
        support_thread_join(support_thread(use_on_thread, &u));
    else
        CHECK_OK(support_join(support_spawn(use, &u)));
    support_thread_join(closer);
    CHECK_GE(u.rc, 1);
    check_next();
    CHECK_EQ(support_drain(fds[1]), u.rc);
    close(fds[1]);
}

static int closes_after_a_part(void *arg)
{
    (void)arg;
    close_after_a_part(false);
    return 0;
}

START_TEST(the_rest_goes_nowhere)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, closes_after_a_part, NULL));
    close_after_a_part(true);
}
END_TEST

SUPPORT_MAIN("close_between", a_coroutine_is_waited_for, a_thread_is_waited_for,
             the_rest_goes_nowhere)
