/* accept and connect: addresses and flags, refusal, timeouts undone, cancels, a crowd. */
#include "tests/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/un.h>

static void *connect_plainly(void *arg)
{
    struct sockaddr_in *addr = arg;
    support_pause_ms(1);
    int fd = support_socket();
    CHECK_OK(connect(fd, (struct sockaddr *)addr, sizeof(*addr)));
    return (void *)(intptr_t)fd;
}

static int take_connection(struct sockaddr_in *addr)
{
    return (int)(intptr_t)support_thread_result(support_thread(connect_plainly, addr));
}

static void accepts(void)
{
    struct sockaddr_in addr, peer, name;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int listener = support_listen(&addr, 5);
        support_nonblock(listener, nonblocking);
        CHECK_EQ(pirn_accept(listener, NULL, NULL, 0, PIRN_NOW), -ETIMEDOUT);
        pirn_time until = pirn_after_ms(2);
        socklen_t len = 77;
        CHECK_EQ(pirn_accept(listener, (struct sockaddr *)&peer, &len, 0, until), -ETIMEDOUT);
        CHECK_EQ(len, 77); /* written only on success */
        CHECK_GE(pirn_now().ns, until.ns);
        for (int i = 0; i < 4; i++) {
            pthread_t thread = 0;
            int client = -1;
            if (i % 2) /* there already */
                client = take_connection(&addr);
            else
                thread = support_thread(connect_plainly, &addr);
            len = sizeof(peer);
            int flags = i / 2 ? SOCK_NONBLOCK : 0;
            int fd = i ? pirn_accept(listener, (struct sockaddr *)&peer, &len, flags, PIRN_NEVER)
                       : pirn_accept(listener, NULL, NULL, flags, PIRN_NEVER);
            CHECK_GE(fd, 0);
            if (!(i % 2))
                client = (int)(intptr_t)support_thread_result(thread);
            socklen_t name_len = sizeof(name);
            CHECK_OK(getsockname(client, (struct sockaddr *)&name, &name_len));
            if (i) {
                CHECK_EQ(len, sizeof(peer));
                CHECK(peer.sin_port == name.sin_port && peer.sin_family == AF_INET);
            }
            CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC); /* always */
            CHECK_EQ((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, flags != 0);
            CHECK_OK(pirn_close(fd));
            CHECK_OK(pirn_close(client));
        }
        CHECK_OK(pirn_close(listener));
    }
}

START_TEST(accepting)
{
    support_everywhere(accepts);
}
END_TEST

/* ---- connect ----------------------------------------------------------------------------- */

static void connects(void)
{
    struct sockaddr_in addr;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int listener = support_listen(&addr, 5), fd = support_socket();
        support_nonblock(fd, nonblocking);
        CHECK_OK(pirn_connect(fd, (struct sockaddr *)&addr, sizeof(addr), PIRN_NEVER));
        CHECK_EQ(pirn_connect(fd, (struct sockaddr *)&addr, sizeof(addr), PIRN_NEVER), -EISCONN);
        int served = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER);
        CHECK_GE(served, 0);
        char c = 0;
        CHECK_EQ(pirn_send(fd, "c", 1, 0, PIRN_NEVER), 1);
        CHECK_EQ(pirn_recv(served, &c, 1, 0, PIRN_NEVER), 1);
        CHECK_EQ((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, nonblocking); /* left as it was */
        CHECK_OK(pirn_close(fd));
        CHECK_OK(pirn_close(served));
        CHECK_OK(pirn_close(listener));
        /* Nobody listens there now. */
        fd = support_socket();
        support_nonblock(fd, nonblocking);
        CHECK_EQ(pirn_connect(fd, (struct sockaddr *)&addr, sizeof(addr), PIRN_NEVER),
                 -ECONNREFUSED);
        CHECK_OK(pirn_close(fd));
    }
}

START_TEST(connecting)
{
    support_everywhere(connects);
}
END_TEST

/* A listener whose queue is full: the next connect hangs. */
static int full_listener(struct sockaddr_in *ret_addr, int fillers[2])
{
    int listener = support_listen(ret_addr, 0);
    for (int i = 0; i < 2; i++) {
        fillers[i] = support_socket();
        support_nonblock(fillers[i], true);
        connect(fillers[i], (struct sockaddr *)ret_addr, sizeof(*ret_addr));
    }
    support_poll(listener, POLLIN); /* one is all it takes */
    return listener;
}

/* A connect that timed out did not happen: the socket can connect elsewhere. */
static void undone(void)
{
    struct sockaddr_in full, open;
    int fillers[2], hanging = full_listener(&full, fillers), listener = support_listen(&open, 5);
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int fd = support_socket();
        support_nonblock(fd, nonblocking);
        pirn_time until = pirn_after_ms(10);
        CHECK_EQ(pirn_connect(fd, (struct sockaddr *)&full, sizeof(full), until), -ETIMEDOUT);
        CHECK_GE(pirn_now().ns, until.ns);
        CHECK_OK(pirn_connect(fd, (struct sockaddr *)&open, sizeof(open), PIRN_NEVER));
        int served = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER);
        CHECK_GE(served, 0);
        CHECK_EQ(pirn_send(fd, "u", 1, 0, PIRN_NEVER), 1);
        char c = 0;
        CHECK_EQ(pirn_recv(served, &c, 1, 0, PIRN_NEVER), 1);
        CHECK_EQ(c, 'u');
        CHECK_OK(pirn_close(fd));
        CHECK_OK(pirn_close(served));
    }
    int all[] = {hanging, listener, fillers[0], fillers[1]};
    for (int i = 0; i < 4; i++)
        CHECK_OK(pirn_close(all[i]));
}

START_TEST(timeout_is_undone)
{
    support_everywhere(undone);
}
END_TEST

/* ---- Unix sockets ------------------------------------------------------------------------ */

struct unix_side {
    struct sockaddr_un addr;
    socklen_t len;
    int rc;
    atomic_int began;
};

static void unix_connects(void)
{
    static atomic_int number;
    struct unix_side s = {.addr = {.sun_family = AF_UNIX}}; /* abstract: no file to remove */
    int n = snprintf(s.addr.sun_path + 1, sizeof(s.addr.sun_path) - 1, "pirn-test-%d-%d",
                     (int)getpid(), atomic_fetch_add(&number, 1));
    s.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_OK(bind(listener, (struct sockaddr *)&s.addr, s.len));
    CHECK_OK(listen(listener, 0));
    int first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_OK(pirn_connect(first, (struct sockaddr *)&s.addr, s.len, PIRN_NEVER));
    int second = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* the queue is full now */
    pirn_time until = pirn_after_ms(10);
    CHECK_EQ(pirn_connect(second, (struct sockaddr *)&s.addr, s.len, until), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, until.ns);
    int served = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER);
    CHECK_GE(served, 0);
    CHECK_EQ(pirn_accept(listener, NULL, NULL, 0, PIRN_NOW), -ETIMEDOUT); /* it did not happen */
    CHECK_OK(pirn_connect(second, (struct sockaddr *)&s.addr, s.len, PIRN_NEVER));
    int all[] = {listener, first, second, served};
    for (int i = 0; i < 4; i++)
        CHECK_OK(pirn_close(all[i]));
}

START_TEST(unix_sockets)
{
    support_everywhere(unix_connects);
}
END_TEST

/* ---- Cancelled --------------------------------------------------------------------------- */

struct pending {
    int fd, rc;
    struct sockaddr_in addr;
};

static int pending_accept(void *arg)
{
    struct pending *p = arg;
    p->rc = pirn_accept(p->fd, NULL, NULL, 0, PIRN_NEVER);
    return 0;
}

static int pending_connect(void *arg)
{
    struct pending *p = arg;
    p->rc = pirn_connect(p->fd, (struct sockaddr *)&p->addr, sizeof(p->addr), PIRN_NEVER);
    return 0;
}

static int cancel_both(void *arg)
{
    (void)arg;
    struct sockaddr_in addr;
    int fillers[2], full = full_listener(&addr, fillers);
    struct pending c = {.fd = support_socket(), .rc = 1, .addr = addr}, a = {.rc = 1};
    a.fd = support_listen(&a.addr, 5);
    pirn_task *connecter = support_spawn(pending_connect, &c);
    pirn_task *accepter = support_spawn(pending_accept, &a);
    support_until_waiting(connecter);
    support_until_waiting(accepter);
    CHECK_OK(pirn_cancel(connecter, NULL));
    CHECK_OK(pirn_cancel(accepter, NULL));
    CHECK_OK(support_join(connecter));
    CHECK_OK(support_join(accepter));
    CHECK_EQ(c.rc, -ECANCELED);
    CHECK_EQ(a.rc, -ECANCELED);
    /* The socket connects elsewhere, and the listener loses no connection. */
    CHECK_OK(pirn_connect(c.fd, (struct sockaddr *)&a.addr, sizeof(a.addr), PIRN_NEVER));
    int served = pirn_accept(a.fd, NULL, NULL, 0, PIRN_NEVER);
    CHECK_GE(served, 0);
    int all[] = {full, fillers[0], fillers[1], c.fd, a.fd, served};
    for (int i = 0; i < 6; i++)
        CHECK_OK(pirn_close(all[i]));
    return 0;
}

START_TEST(cancelled)
{
    support_census before = support_count();
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel_both, NULL));
    support_no_more_than(before);
}
END_TEST

/* ---- Stopped at once, again and again ------------------------------------------------------- */

struct unix_place {
    struct sockaddr_un addr;
    socklen_t len;
};

/* A stop may find the request on its way from one place of the kernel's to another. */
static int connect_in_vain(void *arg)
{
    const struct unix_place *full = arg;
    for (int i = 0; i < support_rounds(1000); i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        pirn_time until = i % 3 == 0 ? PIRN_NOW : pirn_after_us(support_between(0, 60));
        CHECK_GE(fd, 0);
        CHECK_EQ(pirn_connect(fd, (const struct sockaddr *)&full->addr, full->len, until),
                 -ETIMEDOUT);
        CHECK_OK(pirn_close(fd));
    }
    return 0;
}

/* The queue stays full. */
static int stopped_at_once(void *arg)
{
    struct unix_place full = {.addr = {.sun_family = AF_UNIX}, .len = sizeof(full.addr)};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int filler = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pirn_task *tasks[4];
    (void)arg;
    CHECK_OK(bind(listener, (struct sockaddr *)&full.addr, sizeof(sa_family_t))); /* any name */
    CHECK_OK(listen(listener, 0));
    CHECK_OK(getsockname(listener, (struct sockaddr *)&full.addr, &full.len));
    CHECK_OK(support_connect(filler, &full.addr, full.len));
    for (int i = 0; i < 4; i++)
        tasks[i] = support_spawn(connect_in_vain, &full);
    for (int i = 0; i < 4; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_OK(pirn_close(filler));
    return pirn_close(listener);
}

START_TEST(no_stop_is_lost)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, stopped_at_once, NULL));
}
END_TEST

/* ---- A crowd ----------------------------------------------------------------------------- */

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[64];
    ssize_t n;
    while ((n = pirn_recv(fd, buf, sizeof(buf), 0, PIRN_NEVER)) > 0)
        CHECK_EQ(pirn_send(fd, buf, (size_t)n, 0, PIRN_NEVER), n);
    CHECK_OK(n);
    return pirn_close(fd);
}

struct crowd {
    int listener, clients;
    struct sockaddr_in addr;
};

static int serve(void *arg)
{
    struct crowd *c = arg;
    pirn_scope *scope;
    CHECK_OK(pirn_scope_open(&scope, 0));
    for (int i = 0; i < c->clients; i++) {
        int fd = pirn_accept(c->listener, NULL, NULL, 0, PIRN_NEVER);
        CHECK_GE(fd, 0);
        CHECK_OK(pirn_scope_spawn(scope, echo, (void *)(intptr_t)fd, PIRN_NEVER));
    }
    return pirn_scope_close(scope, PIRN_NEVER);
}

static int client(size_t i, void *arg)
{
    struct crowd *c = arg;
    int fd = support_socket();
    CHECK_OK(pirn_connect(fd, (struct sockaddr *)&c->addr, sizeof(c->addr), PIRN_NEVER));
    for (int k = 0; k < 20; k++) {
        char out[32], in[32] = {0};
        int n = snprintf(out, sizeof(out), "client %zu message %d", i, k);
        CHECK_EQ(pirn_send(fd, out, (size_t)n, 0, PIRN_NEVER), n);
        CHECK_EQ(pirn_recv(fd, in, (size_t)n, MSG_WAITALL, PIRN_NEVER), n);
        CHECK(memcmp(in, out, (size_t)n) == 0);
    }
    return pirn_close(fd);
}

static int crowd(void *arg)
{
    (void)arg;
    struct crowd c = {.clients = support_rounds(1000)};
    c.listener = support_listen(&c.addr, 512);
    pirn_task *server = support_spawn(serve, &c);
    CHECK_OK(pirn_parallel_for(0, (size_t)c.clients, client, &c));
    CHECK_OK(support_join(server));
    return pirn_close(c.listener);
}

START_TEST(echo_crowd)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, crowd, NULL));
}
END_TEST

SUPPORT_MAIN("connect", accepting, connecting, timeout_is_undone, unix_sockets, cancelled,
             no_stop_is_lost, echo_crowd)
