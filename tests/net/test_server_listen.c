/*
 * What servers listen with: all addresses or none, sockets that are not taken, that fail, and a
 * runtime that ends meanwhile.
 */
#include "tests/net/dns.h"
#include "tests/net/server.h"

#include <fcntl.h>

/* ---- All of them or none --------------------------------------------------------------------- */

static dns names;

static int all_or_none(void *arg)
{
    char service[8];
    pirn_resolve_config resolve = dns_config(&names);
    pirn_listen_config config = PIRN_LISTEN_CONFIG_INIT;
    pirn_address *list;
    pirn_server *server;
    (void)arg;
    config.resolve = &resolve;
    CHECK_OK(pirn_server_new(&server, echo, NULL, NULL));
    CHECK_OK(pirn_server_listen(server, "twice.test", "0", &config, PIRN_NEVER));
    snprintf(service, sizeof(service), "%d", pirn_server_port(server));
    pirn_address address;
    CHECK_EQ(pirn_server_address(server, 1, &address), -ENOENT); /* one is enough */
    stop_and_release(server);

    CHECK_OK(pirn_server_new(&server, echo, NULL, NULL));
    CHECK_EQ(pirn_server_listen(server, "many.test", service, &config, PIRN_NEVER), -EAGAIN);
    CHECK_EQ(pirn_server_port(server), -ENOENT);
    CHECK_EQ(pirn_resolve("127.0.0.1", service, NULL, &list, PIRN_NEVER), 1);
    CHECK_EQ(pirn_connect_any(list, 1, NULL, PIRN_NEVER), -ECONNREFUSED);
    pirn_addresses_free(list);
    stop_and_release(server);
    return 0;
}

START_TEST(listens_at_all_addresses_or_at_none)
{
    dns_begin(&names);
    if (dns_can_be_asked(&names)) {
        FOR_WORKERS(w)
        {
            pirn_config config = PIRN_CONFIG_INIT;
            config.workers = w;
            config.max_tasks = 3; /* main, and two that accept */
            int sockets = dns_sockets();
            CHECK_OK(support_run_with(&config, all_or_none, NULL));
            CHECK_EQ(dns_sockets(), sockets);
        }
    }
    dns_end(&names);
}
END_TEST

/* A socket that is not taken is still the caller's. */
static int not_taken(void *arg)
{
    struct sockaddr_in addr;
    pirn_server *server;
    (void)arg;
    int fd = support_listen(&addr, 1);
    CHECK_OK(pirn_server_new(&server, echo, NULL, NULL));
    CHECK_OK(pirn_server_close(server));
    CHECK_EQ(pirn_server_add(server, fd), -ESHUTDOWN);
    CHECK_GE(fcntl(fd, F_GETFD), 0);
    pirn_server_release(server);

    CHECK_OK(pirn_server_new(&server, echo, NULL, NULL));
    support_nonblock(fd, true);
    CHECK_OK(pirn_server_add(server, fd));
    pirn_stream *stream = connect_at(server, 0);
    exchange(stream, "word\n");
    hang_up(stream);
    stop_and_release(server);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    return 0;
}

START_TEST(a_socket_that_is_not_taken)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, not_taken, NULL));
}
END_TEST

/* ---- Listeners that fail --------------------------------------------------------------------- */

/* One of two sockets is of no more use, then the other. Connections go on. */
static int fails(void *arg)
{
    struct sockaddr_in addr;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    pirn_server *server;
    pirn_address address;
    config.limit = *(int *)arg;
    int first = support_listen(&addr, 1), second = support_listen(&addr, 1);
    CHECK_OK(pirn_server_new(&server, echo, NULL, &config));
    CHECK_OK(pirn_server_add(server, first));
    CHECK_OK(pirn_server_add(server, second));
    pirn_stream *stream = connect_at(server, 1);
    exchange(stream, "word\n");
    CHECK_OK(shutdown(first, SHUT_RD));
    while (pirn_server_address(server, 1, &address) == 0) /* until the first is out of the list */
        CHECK_OK(pirn_yield());
    pirn_stream *other = connect_at(server, 0);
    exchange(other, "word\n");
    CHECK_OK(shutdown(second, SHUT_RD));
    CHECK_EQ(pirn_server_serve(server), -EINVAL);
    CHECK_EQ(pirn_server_serve(server), -EINVAL);
    CHECK_EQ(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER), -ESHUTDOWN);
    exchange(stream, "word\n");
    hang_up(stream);
    hang_up(other);
    stop_and_release(server);
    return 0;
}

START_TEST(the_last_listener_that_fails_closes_the_server)
{
    for (int limit = 0; limit <= 10; limit += 10)
        FOR_WORKERS(w) CHECK_OK(support_run(w, fails, &limit));
}
END_TEST

/* ---- The runtime's end, while somebody begins to listen -------------------------------------- */

static atomic_int going;

static int listen_on_and_on(void *arg)
{
    pirn_server *server = arg;
    atomic_fetch_add(&going, 1);
    for (;;) {
        int rc = pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER);
        if (rc != 0) {
            pirn_server_release(server);
            return 0;
        }
    }
}

static int end_meanwhile(void *arg)
{
    pirn_server *server;
    (void)arg;
    atomic_store(&going, 0);
    CHECK_OK(pirn_server_new(&server, echo, NULL, NULL));
    CHECK_OK(pirn_detach(support_spawn(listen_on_and_on, server)));
    support_until(&going, 1);
    CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 300))));
    return 0;
}

START_TEST(race_of_listening_and_the_runtimes_end)
{
    support_census before = support_count();
    for (int i = 0; i < support_rounds(200); i++)
        CHECK_OK(support_run(i % 2 == 0 ? 4 : 2, end_meanwhile, NULL));
    support_no_more_than(before);
}
END_TEST

SUPPORT_MAIN("server_listen", listens_at_all_addresses_or_at_none, a_socket_that_is_not_taken,
             the_last_listener_that_fails_closes_the_server, race_of_listening_and_the_runtimes_end)
