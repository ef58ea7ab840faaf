/*
 * Servers that are short of something: connections they may have, descriptors, tasks; and what a call that
 * fails leaves behind.
 */
#include "tests/net/dns.h"
#include "tests/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int echo(pirn_stream *stream, void *user)
{
    const char *line;
    ssize_t n;
    (void)user;
    while ((n = pirn_stream_read_line(stream, &line, PIRN_NEVER)) > 0)
        pirn_stream_write(stream, line, (size_t)n);
    return (int)n;
}

static pirn_server *new_server(pirn_server_fn fn, const pirn_server_config *config)
{
    pirn_server *server = NULL;
    CHECK_OK(pirn_server_new(&server, fn, NULL, config));
    CHECK_OK(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    return server;
}

static void stop_and_release(pirn_server *server)
{
    CHECK_OK(pirn_server_stop(server, PIRN_NEVER));
    pirn_server_release(server);
}

static pirn_address place_of(pirn_server *server, size_t i)
{
    pirn_address address;
    CHECK_OK(pirn_server_address(server, i, &address));
    return address;
}

static pirn_stream *connect_to(pirn_server *server, size_t i)
{
    pirn_stream *stream = NULL;
    pirn_address address = place_of(server, i);
    int fd = pirn_connect_any(&address, 1, NULL, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_OK(pirn_stream_new(&stream, fd, NULL));
    return stream;
}

static void exchange(pirn_stream *stream)
{
    const char *line;
    CHECK_EQ(pirn_stream_write(stream, "word\n", 5), 5);
    CHECK_EQ(pirn_stream_read_line(stream, &line, PIRN_NEVER), 5);
}

static void hang_up(pirn_stream *stream)
{
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    pirn_stream_release(stream);
}

/* ---- A limit ------------------------------------------------------------------------------------------ */

/* Listeners where nobody comes take nothing from those where somebody does. */
static int shared_limit(void *arg)
{
    enum {
        LIMIT = 2,
        PLACES = 4
    };
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    pirn_stream *streams[LIMIT + 1];
    char buf[5];
    (void)arg;
    config.limit = LIMIT;
    pirn_server *server = new_server(echo, &config);
    for (int i = 1; i < PLACES; i++)
        CHECK_OK(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    for (size_t place = 0; place < PLACES; place++) {
        for (int i = 0; i < LIMIT; i++) {
            streams[i] = connect_to(server, place);
            exchange(streams[i]);
        }
        CHECK_EQ(pirn_server_connections(server), LIMIT);
        streams[LIMIT] = connect_to(server, (place + 1) % PLACES);
        CHECK_EQ(pirn_stream_write(streams[LIMIT], "word\n", 5), 5);
        CHECK_EQ(pirn_stream_read(streams[LIMIT], buf, 5, pirn_after_ms(2)), -ETIMEDOUT);
        CHECK_EQ(pirn_server_connections(server), LIMIT);
        hang_up(streams[0]);
        CHECK_EQ(pirn_stream_read_exactly(streams[LIMIT], buf, 5, NULL, PIRN_NEVER), 5);
        hang_up(streams[1]);
        hang_up(streams[LIMIT]);
    }
    stop_and_release(server);
    return 0;
}

START_TEST(a_limit_is_shared_by_all_listeners)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, shared_limit, NULL));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- A153: no descriptor to accept with --------------------------------------------------------------- */

static support_report said;

/* From now on a new descriptor's number would be too high. */
static struct rlimit run_out(void)
{
    struct rlimit limit, none;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    none = limit;
    int lowest = dup(0); /* there may be free numbers below others: they are filled by the caller */
    CHECK_GE(lowest, 0);
    none.rlim_cur = (rlim_t)lowest;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
    close(lowest);
    return limit;
}

static uint64_t submissions(void)
{
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    return stats.submissions;
}

static int descriptors_run_out(void *arg)
{
    const int *limit = arg;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    config.limit = *limit;
    pirn_server *server = new_server(echo, &config);
    pirn_stream *before = connect_to(server, 0);
    exchange(before);
    for (int round = 1; round <= 2; round++) {
        pirn_address address = place_of(server, 0);
        pirn_stream *streams[2];
        char buf[5];
        int fds[2] = {support_socket(), support_socket()};
        struct rlimit old = run_out();
        /* The request that is under way goes by the limit of before, so there may be a first one. */
        for (int i = 0; i < 2; i++)
            CHECK_OK(pirn_connect(fds[i], &address.addr.any, address.len, PIRN_NEVER));
        while (support_reported(&said, "a server pauses") < round)
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));

        uint64_t submitted = submissions();
        int64_t begun = support_now();
        CHECK_OK(pirn_sleep(pirn_after_ms(220)));
        int64_t pauses = (support_now() - begun) / (100 * MS); /* that can have gone by since */
        submitted = submissions() - submitted;
        CHECK_LE(submitted, (uint64_t)(2 * (pauses + 2))); /* a try is two requests at most */
        CHECK_EQ(support_reported(&said, "a server pauses"), round);
        exchange(before); /* the others go on */
        CHECK_LE(pirn_server_connections(server), 2);

        CHECK_OK(setrlimit(RLIMIT_NOFILE, &old));
        for (int i = 0; i < 2; i++) {
            CHECK_OK(pirn_stream_new(&streams[i], fds[i], NULL));
            CHECK_EQ(pirn_stream_write(streams[i], "word\n", 5), 5);
            CHECK_EQ(pirn_stream_read_exactly(streams[i], buf, 5, NULL, PIRN_NEVER), 5);
        }
        CHECK_EQ(pirn_server_connections(server), 3);
        for (int i = 0; i < 2; i++)
            hang_up(streams[i]);
        while (pirn_server_connections(server) != 1)
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    }
    hang_up(before);
    stop_and_release(server);
    return 0;
}

START_TEST(a153_no_descriptors_a_pause_and_on_it_goes)
{
    FOR_WORKERS(w)
    {
        for (int limit = 0; limit <= 3; limit += 3) {
            support_census before = support_count();
            pirn_config config = PIRN_CONFIG_INIT;
            said = (support_report)SUPPORT_REPORT_INIT;
            config.workers = w;
            config.report = support_report_line;
            config.report_user = &said;
            CHECK_OK(support_run_with(&config, descriptors_run_out, &limit));
            support_no_more_than(before);
        }
    }
}
END_TEST

/* It is stopped while it pauses. */
static int stopped_in_a_pause(void *arg)
{
    (void)arg;
    pirn_server *server = new_server(echo, NULL);
    pirn_address address = place_of(server, 0);
    int fds[2] = {support_socket(), support_socket()};
    struct rlimit old = run_out();
    for (int i = 0; i < 2; i++)
        CHECK_OK(pirn_connect(fds[i], &address.addr.any, address.len, PIRN_NEVER));
    while (support_reported(&said, "a server pauses") < 1)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_server_close(server));
    for (int i = 0; i < 2; i++)
        CHECK_OK(pirn_close(fds[i]));
    CHECK_OK(pirn_server_wait_closed(server, PIRN_NEVER));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &old));
    pirn_server_release(server);
    return 0;
}

START_TEST(a153_stopped_in_a_pause)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        pirn_config config = PIRN_CONFIG_INIT;
        said = (support_report)SUPPORT_REPORT_INIT;
        config.workers = w;
        config.report = support_report_line;
        config.report_user = &said;
        CHECK_OK(support_run_with(&config, stopped_in_a_pause, NULL));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- Stopped twice -------------------------------------------------------------------------------------- */

static atomic_int let_go, cancels;

static int stubborn(pirn_stream *stream, void *user)
{
    char c;
    (void)user;
    pirn_stream_write(stream, "x", 1);
    while (!atomic_load(&let_go)) {
        if (pirn_stream_read(stream, &c, 1, PIRN_NEVER) == -ECANCELED)
            atomic_fetch_add(&cancels, 1);
    }
    return 0;
}

static int stop(void *arg)
{
    return pirn_server_stop(arg, PIRN_NOW);
}

/* What goes on all the same is told to everybody who stops it, whenever and however many. */
static int stopped_twice(void *arg)
{
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    char c;
    (void)arg;
    config.grace = (pirn_time){5 * MS};
    atomic_store(&let_go, 0);
    atomic_store(&cancels, 0);
    pirn_server *server = new_server(stubborn, &config);
    pirn_stream *stream = connect_to(server, 0);
    CHECK_EQ(pirn_stream_read(stream, &c, 1, PIRN_NEVER), 1);
    pirn_task *first = support_spawn(stop, server), *second = support_spawn(stop, server);
    CHECK_EQ(support_join(first), -EBUSY);
    CHECK_EQ(support_join(second), -EBUSY);
    support_until(&cancels, 1);
    int before = atomic_load(&cancels);
    CHECK_EQ(pirn_server_stop(server, PIRN_NOW), -EBUSY);
    support_until(&cancels, before + 1); /* it has been cancelled again */
    atomic_store(&let_go, 1);
    CHECK_EQ(pirn_server_stop(server, PIRN_NOW), -ETIMEDOUT);
    hang_up(stream);
    pirn_server_release(server);
    return 0;
}

START_TEST(each_stop_tells_what_goes_on)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        said = (support_report)SUPPORT_REPORT_INIT;
        config.workers = w;
        config.report = support_report_line;
        config.report_user = &said;
        CHECK_OK(support_run_with(&config, stopped_twice, NULL));
        CHECK_GE(support_reported(&said, "goes on"), 2);
    }
}
END_TEST

/* ---- All of them or none -------------------------------------------------------------------------------- */

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
    pirn_stream *stream = connect_to(server, 0);
    exchange(stream);
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

/* ---- Listeners that fail ------------------------------------------------------------------------------ */

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
    pirn_stream *stream = connect_to(server, 1);
    exchange(stream);
    CHECK_OK(shutdown(first, SHUT_RD));
    while (pirn_server_address(server, 1, &address) == 0) /* until the first is out of the list */
        CHECK_OK(pirn_yield());
    pirn_stream *other = connect_to(server, 0);
    exchange(other);
    CHECK_OK(shutdown(second, SHUT_RD));
    CHECK_EQ(pirn_server_serve(server), -EINVAL);
    CHECK_EQ(pirn_server_serve(server), -EINVAL);
    CHECK_EQ(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER), -ESHUTDOWN);
    exchange(stream);
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

/* What no connection could be made with is refused before there are any. */
static int unsound(void *arg)
{
    pirn_server *server;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    pirn_stream_config stream = PIRN_STREAM_CONFIG_INIT;
    (void)arg;
    config.stream = &stream;
    stream.low = 1024 * 1024;
    CHECK_EQ(pirn_server_new(&server, echo, NULL, &config), -EINVAL);
    stream.low = 0;
    stream.flags = PIRN_STREAM_KEEP_FD; /* nobody would ever close them */
    CHECK_EQ(pirn_server_new(&server, echo, NULL, &config), -EINVAL);
    stream.flags = 0;
    stream.size++;
    CHECK_EQ(pirn_server_new(&server, echo, NULL, &config), -EINVAL);
    stream.size--;
    config.stack_size = (size_t)2 << 30;
    CHECK_EQ(pirn_server_new(&server, echo, NULL, &config), -EINVAL);
    config.stack_size = 0;
    CHECK_OK(pirn_server_new(&server, echo, NULL, &config));
    pirn_server_release(server);
    return 0;
}

START_TEST(unsound_configs)
{
    CHECK_OK(support_run(1, unsound, NULL));
}
END_TEST

/* ---- The runtime's end, while somebody begins to listen -------------------------------------------------- */

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

/* ---- A limit that refuses ------------------------------------------------------------------------ */

static pirn_stream *call(pirn_server *server)
{
    pirn_stream *stream = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%d", pirn_server_port(server));
    CHECK_OK(pirn_stream_connect(&stream, "127.0.0.1", service, NULL, NULL, PIRN_NEVER));
    return stream;
}

/* 'x' there and back: 1; 0 or an error: it was refused. */
static ssize_t say(pirn_stream *stream)
{
    const char *line;
    pirn_stream_write(stream, "x\n", 2);
    ssize_t n = pirn_stream_read_line(stream, &line, PIRN_NEVER);
    return n == 2 ? 1 : n;
}

static int refuse(void *arg)
{
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    pirn_stream *streams[3];
    (void)arg;
    config.limit = 2;
    config.refuse = true;
    pirn_server *server = new_server(echo, &config);
    for (int i = 0; i < 2; i++) {
        streams[i] = call(server);
        CHECK_EQ(say(streams[i]), 1);
    }
    for (int i = 0; i < 10; i++) {
        streams[2] = call(server);
        CHECK_LE(say(streams[2]), 0);
        CHECK_EQ(pirn_server_connections(server), 2);
        pirn_stream_release(streams[2]);
    }
    pirn_stream_release(streams[0]);
    ssize_t answer;
    do { /* once the server has seen that */
        streams[0] = call(server);
        answer = say(streams[0]);
        if (answer != 1)
            pirn_stream_release(streams[0]);
    } while (answer != 1);
    CHECK_EQ(say(streams[1]), 1);
    pirn_stream_release(streams[0]);
    pirn_stream_release(streams[1]);
    CHECK_OK(pirn_server_stop(server, PIRN_NEVER));
    pirn_server_release(server);
    return 0;
}

START_TEST(a_limit_that_refuses)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, refuse, NULL));
}
END_TEST

SUPPORT_MAIN("server_short", a_limit_is_shared_by_all_listeners,
             a153_no_descriptors_a_pause_and_on_it_goes, a153_stopped_in_a_pause,
             each_stop_tells_what_goes_on, listens_at_all_addresses_or_at_none,
             a_socket_that_is_not_taken, the_last_listener_that_fails_closes_the_server,
             unsound_configs, race_of_listening_and_the_runtimes_end, a_limit_that_refuses)
