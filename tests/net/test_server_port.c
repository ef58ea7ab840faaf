/*
 * A server at a free port of several addresses, when what is free at the first is taken at the
 * second: binds of this program come here first, and some to a port that is asked for are refused.
 */
#include "tests/net/dns.h"

#include <sys/syscall.h>

static dns server;
static atomic_int refusals, refused; /* still to come, and so far */

static bool asks_for_port(const struct sockaddr *addr)
{
    return (addr->sa_family == AF_INET && ((const struct sockaddr_in *)addr)->sin_port != 0) ||
           (addr->sa_family == AF_INET6 && ((const struct sockaddr_in6 *)addr)->sin6_port != 0);
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    if (asks_for_port(addr) && atomic_load(&refusals) > 0) {
        atomic_fetch_sub(&refusals, 1);
        atomic_fetch_add(&refused, 1);
        errno = EADDRINUSE;
        return -1;
    }
    return (int)syscall(SYS_bind, fd, addr, len);
}

static int nobody(pirn_stream *stream, void *user)
{
    (void)stream;
    (void)user;
    return 0;
}

static int listen_everywhere(void *arg)
{
    pirn_listen_config config = PIRN_LISTEN_CONFIG_INIT;
    pirn_resolve_config resolve = dns_config(&server);
    pirn_address first, second, third;
    pirn_server *s;
    int times = (int)(intptr_t)arg;
    config.resolve = &resolve;
    CHECK_OK(pirn_server_new(&s, nobody, NULL, NULL));
    atomic_store(&refused, 0);
    atomic_store(&refusals, times);
    int sockets = dns_sockets();
    int rc = pirn_server_listen(s, "many.test", "0", &config, PIRN_NEVER);
    atomic_store(&refusals, 0);
    if (rc == 0) {
        CHECK_EQ(atomic_load(&refused), times);
        CHECK_OK(pirn_server_address(s, 0, &first));
        CHECK_OK(pirn_server_address(s, 1, &second));
        CHECK_OK(pirn_server_address(s, 2, &third));
        CHECK(first.addr.in.sin_port != 0); /* in the same place for both families */
        CHECK_EQ(second.addr.in.sin_port, first.addr.in.sin_port);
        CHECK_EQ(third.addr.in.sin_port, first.addr.in.sin_port);
    } else {
        CHECK_EQ(dns_sockets(), sockets);
        CHECK_EQ(pirn_server_port(s), -ENOENT);
    }
    CHECK_OK(pirn_server_close(s));
    pirn_server_release(s);
    return rc;
}

START_TEST(a165_a_port_that_is_free_everywhere)
{
    FOR_WORKERS(w)
    for (int times = 0; times < 5; times++)
        CHECK_OK(support_run(w, listen_everywhere, (void *)(intptr_t)times));
}
END_TEST

START_TEST(a165_no_port_is_free_everywhere)
{
    FOR_WORKERS(w)
    CHECK_EQ(support_run(w, listen_everywhere, (void *)(intptr_t)1000000), -EADDRINUSE);
    CHECK_LE(atomic_load(&refused), 100);
}
END_TEST

/* A port that is asked for is not exchanged for another. */
static int listen_there(void *arg)
{
    pirn_server *s;
    char service[16];
    (void)arg;
    int fd = pirn_listen("127.0.0.1", "0", NULL, PIRN_NEVER);
    snprintf(service, sizeof(service), "%d", pirn_local_port(fd));
    CHECK_OK(pirn_server_new(&s, nobody, NULL, NULL));
    atomic_store(&refused, 0);
    atomic_store(&refusals, 1);
    CHECK_EQ(pirn_server_listen(s, "127.0.0.1", service, NULL, PIRN_NEVER), -EADDRINUSE);
    CHECK_EQ(atomic_load(&refused), 1);
    CHECK_OK(pirn_close(fd));
    pirn_server_release(s);
    return 0;
}

START_TEST(a165_a_port_that_is_asked_for)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, listen_there, NULL));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {a165_a_port_that_is_free_everywhere, a165_no_port_is_free_everywhere,
                            a165_a_port_that_is_asked_for};
    dns_begin(&server);
    bool can = dns_can_be_asked(&server);
    int rc = can ? support_main("server_port", tests, 3) : 77;
    dns_end(&server);
    return rc;
}
