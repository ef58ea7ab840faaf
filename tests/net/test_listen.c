/* Sockets that listen: ports, options, Unix paths; addresses as text. */
#include "tests/support.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *text_of(int port) /* good for the next three */
{
    static char texts[4][16];
    static int turn;
    char *text = texts[turn++ % 4];
    snprintf(text, sizeof(texts[0]), "%d", port);
    return text;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    CHECK_OK(getsockopt(fd, level, name, &value, &len));
    return value;
}

/* Connects, accepts, and moves a byte. */
static void check_serves(int listener, const char *host)
{
    char c = 'x';
    int port = pirn_local_port(listener);
    CHECK_GE(port, 1);
    int fd = pirn_connect_host(host, text_of(port), NULL, PIRN_NEVER);
    CHECK_GE(fd, 0);
    int conn = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER);
    CHECK_GE(conn, 0);
    CHECK_EQ(pirn_send(fd, &c, 1, 0, PIRN_NEVER), 1);
    CHECK_EQ(pirn_recv(conn, &c, 1, 0, PIRN_NEVER), 1);
    CHECK_OK(pirn_close(fd));
    CHECK_OK(pirn_close(conn));
}

static bool has_ipv6(void)
{
    pirn_address *list;
    CHECK_EQ(pirn_resolve("::1", NULL, NULL, &list, PIRN_NEVER), 1);
    int fd = pirn_listen_at(list, NULL);
    pirn_addresses_free(list);
    close(fd);
    if (fd < 0)
        fprintf(stderr, "this machine has no IPv6 loopback: IPv4 only\n");
    return fd >= 0;
}

/* Port 0 becomes a real one; a busy one is refused; both families by one socket. */
static void ports(void)
{
    pirn_listen_config config = PIRN_LISTEN_CONFIG_INIT, only6 = PIRN_LISTEN_CONFIG_INIT;
    int one = pirn_listen("127.0.0.1", "0", NULL, PIRN_NEVER);
    CHECK_GE(one, 0);
    check_serves(one, "127.0.0.1");
    CHECK_EQ(pirn_listen("127.0.0.1", text_of(pirn_local_port(one)), NULL, PIRN_NEVER),
             -EADDRINUSE);
    int two = pirn_listen("localhost", text_of(pirn_local_port(one)), NULL, PIRN_NEVER);
    if (two >= 0) { /* where that is ::1 as well */
        CHECK_EQ(option(two, SOL_SOCKET, SO_DOMAIN), AF_INET6);
        CHECK_OK(pirn_close(two));
    } else {
        CHECK_EQ(two, -EADDRINUSE);
    }
    CHECK_OK(pirn_close(one));
    CHECK_EQ(pirn_listen("192.0.2.1", "0", NULL, PIRN_NEVER), -EADDRNOTAVAIL); /* not ours */
    CHECK_EQ(pirn_listen("127.0.0.1", "none-such", NULL, PIRN_NEVER), -ESRCH);

    int any = pirn_listen(NULL, NULL, &config, PIRN_NEVER);
    CHECK_GE(any, 0);
    check_serves(any, "127.0.0.1");
    if (has_ipv6()) {
        check_serves(any, "::1");
        only6.flags = PIRN_LISTEN_V6ONLY;
        int six = pirn_listen("::", "0", &only6, PIRN_NEVER);
        CHECK_GE(six, 0);
        check_serves(six, "::1");
        CHECK_EQ(option(any, IPPROTO_IPV6, IPV6_V6ONLY), 0);
        CHECK_EQ(option(six, IPPROTO_IPV6, IPV6_V6ONLY), 1);
        CHECK_OK(pirn_close(six));
    }
    CHECK_OK(pirn_close(any));
    config.backlog = -1;
    CHECK_EQ(pirn_listen(NULL, NULL, &config, PIRN_NEVER), -EINVAL);
    config.backlog = 0;
    config.flags = 1u << 9;
    CHECK_EQ(pirn_listen(NULL, NULL, &config, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_local_port(-1), -EBADF);
}

START_TEST(ports_and_families)
{
    support_everywhere(ports);
}
END_TEST

/* Two sockets of one port; and a port whose last connection is still lingering can be had at
 * once. */
static void reused(void)
{
    pirn_listen_config shared = PIRN_LISTEN_CONFIG_INIT, strict = PIRN_LISTEN_CONFIG_INIT;
    shared.flags = PIRN_LISTEN_REUSEPORT;
    strict.flags = PIRN_LISTEN_NO_REUSEADDR;
    int one = pirn_listen("127.0.0.1", "0", &shared, PIRN_NEVER), port = pirn_local_port(one);
    int two = pirn_listen("127.0.0.1", text_of(port), &shared, PIRN_NEVER);
    CHECK_GE(one, 0);
    CHECK_GE(two, 0);
    CHECK_EQ(pirn_listen("127.0.0.1", text_of(port), NULL, PIRN_NEVER), -EADDRINUSE);
    CHECK_OK(pirn_close(one));
    CHECK_OK(pirn_close(two));

    one = pirn_listen("127.0.0.1", "0", NULL, PIRN_NEVER);
    port = pirn_local_port(one);
    int fd = pirn_connect_host("127.0.0.1", text_of(port), NULL, PIRN_NEVER);
    int conn = pirn_accept(one, NULL, NULL, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_GE(conn, 0);
    CHECK_OK(pirn_close(conn)); /* closed by this side first: it lingers */
    CHECK_OK(pirn_close(fd));
    CHECK_OK(pirn_close(one));
    CHECK_EQ(pirn_listen("127.0.0.1", text_of(port), &strict, PIRN_NEVER), -EADDRINUSE);
    one = pirn_listen("127.0.0.1", text_of(port), NULL, PIRN_NEVER);
    CHECK_GE(one, 0);
    CHECK_OK(pirn_close(one));
}

START_TEST(addresses_are_reused)
{
    support_everywhere(reused);
}
END_TEST

/* ---- Unix paths ------------------------------------------------------------------------------ */

static void check_unix(int listener, const char *path)
{
    char c = 'x';
    int fd = pirn_connect_unix(path, PIRN_NEVER);
    CHECK_GE(fd, 0);
    int conn = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER);
    CHECK_EQ(pirn_send(fd, &c, 1, 0, PIRN_NEVER), 1);
    CHECK_EQ(pirn_recv(conn, &c, 1, 0, PIRN_NEVER), 1);
    CHECK_OK(pirn_close(fd));
    CHECK_OK(pirn_close(conn));
}

static void paths(void)
{
    char dir[] = "/tmp/pirn-listen-XXXXXX", path[64], abstract[64], name[128];
    struct stat st;
    pirn_address a;
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/socket", dir);
    snprintf(abstract, sizeof(abstract), "@%s", dir);
    CHECK_EQ(pirn_connect_unix(path, PIRN_NEVER), -ENOENT);
    int one = pirn_listen_unix(path, NULL, PIRN_NEVER);
    CHECK_GE(one, 0);
    check_unix(one, path);
    CHECK_OK(pirn_local_address(one, &a));
    CHECK_EQ(pirn_address_text(&a, name, sizeof(name)), strlen(path));
    CHECK(strcmp(name, path) == 0);
    CHECK_EQ(pirn_local_port(one), -EAFNOSUPPORT);
    CHECK_EQ(pirn_listen_unix(path, NULL, PIRN_NEVER), -EADDRINUSE); /* somebody listens */
    check_unix(one, path);                                           /* who hears nothing of that */
    int bound =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* nor is it taken, before it listens */
    CHECK_OK(unlink(path));
    CHECK_OK(bind(bound, &a.addr.any, a.len));
    CHECK_EQ(pirn_listen_unix(path, NULL, PIRN_NEVER), -EADDRINUSE);
    CHECK_OK(lstat(path, &st));
    CHECK_OK(close(bound));
    CHECK_OK(pirn_close(one));
    CHECK_OK(lstat(path, &st)); /* it stays, and is refused */
    CHECK_EQ(pirn_connect_unix(path, PIRN_NEVER), -ECONNREFUSED);
    one = pirn_listen_unix(path, NULL, PIRN_NEVER); /* a stale one is replaced */
    CHECK_GE(one, 0);
    check_unix(one, path);
    CHECK_OK(pirn_close(one));
    CHECK_OK(unlink(path));

    FILE *file = fopen(path, "w"); /* anything else is not */
    CHECK(file);
    CHECK_OK(fclose(file));
    CHECK_EQ(pirn_listen_unix(path, NULL, PIRN_NEVER), -EADDRINUSE);
    CHECK_OK(lstat(path, &st));
    CHECK(S_ISREG(st.st_mode));
    CHECK_OK(unlink(path));
    CHECK_OK(symlink("/nowhere", path)); /* nor is a link */
    CHECK_EQ(pirn_listen_unix(path, NULL, PIRN_NEVER), -EADDRINUSE);
    CHECK_OK(unlink(path));
    CHECK_OK(rmdir(dir));
    CHECK_EQ(pirn_listen_unix(path, NULL, PIRN_NEVER), -ENOENT);

    one = pirn_listen_unix(abstract, NULL, PIRN_NEVER);
    CHECK_GE(one, 0);
    check_unix(one, abstract);
    CHECK_OK(pirn_local_address(one, &a));
    CHECK_EQ(pirn_address_text(&a, name, sizeof(name)), strlen(abstract));
    CHECK(strcmp(name, abstract) == 0);
    CHECK_EQ(pirn_listen_unix(abstract, NULL, PIRN_NEVER), -EADDRINUSE);
    CHECK_OK(pirn_close(one));
    CHECK_EQ(pirn_connect_unix(abstract, PIRN_NEVER), -ECONNREFUSED);

    char full[] = "@";
    CHECK_EQ(pirn_address_text(&a, full, sizeof(full)), -ENOSPC);
    memset(&a.addr.path.sun_path, 'x', sizeof(a.addr.path.sun_path)); /* no room for its NUL */
    a.len = sizeof(struct sockaddr_un) + 1;
    CHECK_EQ(pirn_address_text(&a, name, sizeof(name)), sizeof(a.addr.path.sun_path));

    char long_path[200] = "/tmp/";
    memset(long_path + 5, 'x', 120);
    CHECK_EQ(pirn_listen_unix(long_path, NULL, PIRN_NEVER), -ENAMETOOLONG);
    CHECK_EQ(pirn_connect_unix(long_path, PIRN_NEVER), -ENAMETOOLONG);
    CHECK_EQ(pirn_listen_unix("", NULL, PIRN_NEVER), -EINVAL);
}

START_TEST(unix_paths)
{
    support_everywhere(paths);
}
END_TEST

/* A path is for the pool, whose only thread is taken; an abstract name for nobody. */
static atomic_int taken, give_back;

static int take(void *arg)
{
    (void)arg;
    atomic_store(&taken, 1);
    support_until(&give_back, 1);
    return 0;
}

static int take_thread(void *arg)
{
    (void)arg;
    return pirn_blocking(take, NULL, NULL, PIRN_NEVER);
}

static int listen_there(void *path)
{
    return pirn_listen_unix(path, NULL, PIRN_NEVER);
}

static int without_a_thread(void *path)
{
    struct stat st;
    char abstract[64];
    snprintf(abstract, sizeof(abstract), "@%s", (char *)path);
    atomic_store(&taken, 0);
    atomic_store(&give_back, 0);
    pirn_task *taker = support_spawn(take_thread, NULL);
    support_until(&taken, 1);
    int fd = pirn_listen_unix(abstract, NULL, PIRN_NOW);
    CHECK_GE(fd, 0);
    CHECK_OK(pirn_close(fd));
    CHECK_EQ(pirn_listen_unix(path, NULL, pirn_after_ms(1)), -ETIMEDOUT);
    pirn_task *task = support_spawn(listen_there, path);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_EQ(lstat(path, &st), -1);
    task = support_spawn(listen_there, path);
    support_until_waiting(task);
    atomic_store(&give_back, 1);
    fd = support_join(task);
    CHECK_GE(fd, 0);
    check_unix(fd, path);
    CHECK_OK(pirn_close(fd));
    CHECK_OK(unlink(path));
    CHECK_OK(support_join(taker));
    return 0;
}

START_TEST(paths_hold_up_no_worker)
{
    char dir[] = "/tmp/pirn-listen-XXXXXX", path[64];
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/socket", dir);
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.max_blocking = 1;
        CHECK_OK(support_run_with(&config, without_a_thread, path));
    }
    CHECK_OK(rmdir(dir));
}
END_TEST

/* ---- Options, text --------------------------------------------------------------------------- */

START_TEST(options)
{
    int pair[2];
    support_tcp_pair(pair);
    CHECK_OK(pirn_set_nodelay(pair[0], true));
    CHECK(option(pair[0], IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK_OK(pirn_set_nodelay(pair[0], false));
    CHECK_EQ(option(pair[0], IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_OK(pirn_set_keepalive(pair[0], 30, 5, 3));
    CHECK(option(pair[0], SOL_SOCKET, SO_KEEPALIVE) != 0);
    CHECK_EQ(option(pair[0], IPPROTO_TCP, TCP_KEEPIDLE), 30);
    CHECK_EQ(option(pair[0], IPPROTO_TCP, TCP_KEEPINTVL), 5);
    CHECK_EQ(option(pair[0], IPPROTO_TCP, TCP_KEEPCNT), 3);
    CHECK_OK(pirn_set_keepalive(pair[0], 0, 0, 0));
    CHECK_EQ(option(pair[0], SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ(pirn_set_keepalive(pair[0], -1, 1, 1), -EINVAL);
    CHECK_EQ(pirn_set_keepalive(pair[0], 1, 0, 1), -EINVAL);
    CHECK_EQ(pirn_set_nodelay(-1, true), -EBADF);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(text)
{
    char buf[64];
    pirn_address *list, none = {0};
    CHECK_EQ(pirn_resolve("1.2.3.4", "567", NULL, &list, PIRN_NEVER), 1);
    CHECK_EQ(pirn_address_text(list, buf, sizeof(buf)), 11);
    CHECK(strcmp(buf, "1.2.3.4:567") == 0);
    CHECK_EQ(pirn_address_text(list, buf, 12), 11);
    CHECK_EQ(pirn_address_text(list, buf, 11), -ENOSPC);
    CHECK_EQ(pirn_address_text(list, NULL, 0), -ENOSPC);
    CHECK_EQ(pirn_address_text(&none, buf, sizeof(buf)), -EAFNOSUPPORT);
    pirn_addresses_free(list);
    pirn_addresses_free(NULL);
}
END_TEST

SUPPORT_MAIN("listen", ports_and_families, addresses_are_reused, unix_paths,
             paths_hold_up_no_worker, options, text)
