/*
 * Servers: handlers side by side, what becomes of one that fails, close and stop, where they listen.
 */
#include "tests/support.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pirn_server *new_server(pirn_server_fn fn, void *user, const pirn_server_config *config)
{
    pirn_server *server = NULL;
    CHECK_OK(pirn_server_new(&server, fn, user, config));
    CHECK_OK(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    return server;
}

static int try_connect(pirn_stream **ret_stream, int port)
{
    char service[8];
    snprintf(service, sizeof(service), "%d", port);
    return pirn_stream_connect(ret_stream, "127.0.0.1", service, NULL, NULL, PIRN_NEVER);
}

static pirn_stream *connect_to(pirn_server *server)
{
    pirn_stream *stream = NULL;
    CHECK_OK(try_connect(&stream, pirn_server_port(server)));
    return stream;
}

static void hang_up(pirn_stream *stream)
{
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    pirn_stream_release(stream);
}

/* A line there and back. */
static void exchange(pirn_stream *stream, const char *word)
{
    const char *line;
    size_t n = strlen(word);
    CHECK_EQ(pirn_stream_write(stream, word, n), n);
    CHECK_EQ(pirn_stream_read_line(stream, &line, PIRN_NEVER), n);
    CHECK(memcmp(line, word, n) == 0);
}

static void expect_end(pirn_stream *stream)
{
    char c;
    CHECK_EQ(pirn_stream_read(stream, &c, 1, PIRN_NEVER), 0);
}

static void stop_and_release(pirn_server *server)
{
    CHECK_OK(pirn_server_stop(server, PIRN_NEVER));
    pirn_server_release(server);
}

static int echo(pirn_stream *stream, void *user)
{
    const char *line;
    ssize_t n;
    if (user != NULL)
        atomic_fetch_add((atomic_int *)user, 1);
    while ((n = pirn_stream_read_line(stream, &line, PIRN_NEVER)) > 0)
        pirn_stream_write(stream, line, (size_t)n);
    return (int)n;
}

/* ---- S131, S132: handlers side by side ---------------------------------------------------------- */

enum {
    CLIENTS = 100
};

static atomic_int inside;

static int wait_for_all(pirn_stream *stream, void *user)
{
    pirn_event *all = user;
    if (atomic_fetch_add(&inside, 1) + 1 == CLIENTS)
        pirn_event_set(all);
    CHECK_OK(pirn_event_wait(all, PIRN_NEVER));
    return echo(stream, NULL);
}

static int client(void *arg)
{
    pirn_stream *stream = connect_to(arg);
    exchange(stream, "hello\n");
    hang_up(stream);
    return 0;
}

static int side_by_side(void *arg)
{
    pirn_event all = PIRN_EVENT_INIT;
    pirn_task *clients[CLIENTS];
    (void)arg;
    atomic_store(&inside, 0);
    pirn_server *server = new_server(wait_for_all, &all, NULL);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = support_spawn(client, server);
    for (int i = 0; i < CLIENTS; i++)
        CHECK_OK(support_join(clients[i]));
    stop_and_release(server);
    return 0;
}

START_TEST(s131_a_hundred_clients_at_once)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, side_by_side, NULL));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- A163, S136: a handler's end ------------------------------------------------------------------ */

static int last_words(pirn_stream *stream, void *user)
{
    const char *line;
    (void)user;
    ssize_t n = pirn_stream_read_line(stream, &line, PIRN_NEVER);
    CHECK_GE(n, 1);
    char what = line[0];
    pirn_stream_write(stream, "last words", 10);
    if (what == 'c') { /* its own request to end */
        CHECK_OK(pirn_cancel(pirn_current(), NULL));
        return pirn_yield();
    }
    return what == 'f' ? -EIO : 0;
}

static int one_handler(void *arg)
{
    const char *what = arg;
    char buf[16];
    pirn_server *server = new_server(last_words, NULL, NULL);
    for (int i = 0; i < 2; i++) { /* the server lives on */
        pirn_stream *stream = connect_to(server);
        CHECK_EQ(pirn_stream_write(stream, what, strlen(what)), strlen(what));
        if (what[0] == 'c')
            CHECK_LE(pirn_stream_read(stream, buf, sizeof(buf), PIRN_NEVER), 10);
        else
            CHECK_EQ(pirn_stream_read_exactly(stream, buf, 10, NULL, PIRN_NEVER), 10);
        if (what[0] != 'c')
            expect_end(stream);
        hang_up(stream);
    }
    stop_and_release(server);
    return 0;
}

static int reports_of(const char *what, int w, const char *word)
{
    support_report report = SUPPORT_REPORT_INIT;
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = w;
    config.report = support_report_line;
    config.report_user = &report;
    CHECK_OK(support_run_with(&config, one_handler, (void *)(uintptr_t)what));
    return support_reported(&report, word);
}

START_TEST(a163_s136_last_words_arrive_and_failures_are_reported_once)
{
    FOR_WORKERS(w)
    {
        CHECK_EQ(reports_of("return\n", w, "127.0.0.1"), 0);
        CHECK_EQ(reports_of("fail\n", w, "127.0.0.1"), 2); /* two connections */
        CHECK_EQ(reports_of("cancel\n", w, "127.0.0.1"), 0);
    }
}
END_TEST

/* ---- A164, S133: closing ------------------------------------------------------------------------ */

static int serve(void *arg)
{
    return pirn_server_serve(arg);
}

static int closing(void *arg)
{
    bool by_cancel = arg != NULL;
    pirn_server *server = new_server(echo, NULL, NULL);
    pirn_stream *stream = connect_to(server), *another = NULL;
    int port = pirn_server_port(server);
    pirn_address address;
    CHECK_OK(pirn_server_address(server, 0, &address));
    CHECK_EQ(ntohs(address.addr.in.sin_port), port);
    CHECK_EQ(pirn_server_address(server, 1, &address), -ENOENT);
    exchange(stream, "before\n");
    CHECK_EQ(pirn_server_connections(server), 1);
    pirn_task *serving = support_spawn(serve, server);
    support_until_waiting(serving);
    if (by_cancel) {
        CHECK_OK(pirn_cancel(serving, NULL));
        CHECK_EQ(support_join(serving), -ECANCELED);
    } else {
        CHECK_OK(pirn_server_close(server));
        CHECK_OK(support_join(serving));
    }
    CHECK_EQ(try_connect(&another, port), -ECONNREFUSED);
    CHECK_EQ(pirn_server_port(server), -ENOENT);
    exchange(stream, "after\n"); /* what was there goes on */
    CHECK_EQ(pirn_server_wait_closed(server, pirn_after_ms(1)), -ETIMEDOUT);
    hang_up(stream);
    CHECK_OK(pirn_server_wait_closed(server, PIRN_NEVER));
    CHECK_EQ(pirn_server_connections(server), 0);
    CHECK_OK(pirn_server_close(server));
    CHECK_EQ(pirn_server_serve(server), -ESHUTDOWN);
    CHECK_EQ(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER), -ESHUTDOWN);
    CHECK_OK(pirn_server_stop(server, PIRN_NOW));
    pirn_server_release(server);
    return 0;
}

START_TEST(a164_s133_close_leaves_connections_alone)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, closing, NULL));
        CHECK_OK(support_run(w, closing, ""));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- Stopping ------------------------------------------------------------------------------------- */

static atomic_int let_go;

static int stubborn(pirn_stream *stream, void *user)
{
    exchange(stream, "stubborn\n");
    (void)user;
    while (!atomic_load(&let_go))
        (void)pirn_sleep(pirn_after_ms(1)); /* whatever it says */
    return 0;
}

/* Connections that end by themselves, that have to be cancelled, that go on all the same. */
static int stopping(void *arg)
{
    bool is_stubborn = arg != NULL;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    config.grace = (pirn_time){20 * MS};
    atomic_store(&let_go, 0);
    pirn_server *server = new_server(is_stubborn ? stubborn : echo, NULL, &config);
    pirn_stream *streams[3];
    for (int i = 0; i < 3; i++) {
        streams[i] = connect_to(server);
        exchange(streams[i], "stubborn\n");
    }
    CHECK_EQ(pirn_server_stop(server, pirn_after_ms(2)), is_stubborn ? -EBUSY : -ETIMEDOUT);
    CHECK_EQ(pirn_server_connections(server), is_stubborn ? 3 : 0);
    atomic_store(&let_go, 1);
    for (int i = 0; i < 3; i++) {
        char c;
        CHECK_LE(pirn_stream_read(streams[i], &c, 1, PIRN_NEVER), 0);
        pirn_stream_release(streams[i]);
    }
    CHECK_OK(pirn_server_wait_closed(server, PIRN_NEVER));
    pirn_server_release(server);
    return 0;
}

START_TEST(stop_cancels_what_is_left_and_names_what_goes_on)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        support_report report = SUPPORT_REPORT_INIT;
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.report = support_report_line;
        config.report_user = &report;
        CHECK_OK(support_run_with(&config, stopping, NULL));
        CHECK_EQ(support_reported(&report, "goes on"), 0);
        CHECK_OK(support_run_with(&config, stopping, ""));
        CHECK_EQ(support_reported(&report, "goes on"), 3);
        support_no_more_than(before);
    }
}
END_TEST

/* The runtime's end with a server, and a released one. */
static pirn_server *left;

static int leave(void *arg)
{
    pirn_server *server = new_server(echo, NULL, NULL);
    left = server;
    pirn_stream *stream = connect_to(server);
    exchange(stream, "leave\n");
    if (arg != NULL) {
        int port = pirn_server_port(server);
        pirn_server_release(server);
        pirn_stream *another;
        int rc;
        while ((rc = try_connect(&another, port)) != -ECONNREFUSED) { /* it is soon closed */
            CHECK(rc == 0 || rc == -ECONNRESET);                      /* that was in the backlog */
            if (rc == 0)
                pirn_stream_release(another);
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        }
        exchange(stream, "still there\n");
        hang_up(stream);
    } else {
        pirn_stream_release(stream);
    }
    return 0;
}

static void count_drop(void *user)
{
    atomic_fetch_add((atomic_int *)user, 1000);
}

/* What a handler is given lasts as long as handlers may run, and no longer. */
static int dropped(void *arg)
{
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    pirn_server *server;
    atomic_int uses = 0;
    (void)arg;
    config.drop = count_drop;
    config.limit = -1;
    CHECK_EQ(pirn_server_new(&server, echo, &uses, &config), -EINVAL);
    CHECK_EQ(atomic_load(&uses), 0);
    config.limit = 0;
    server = new_server(echo, &uses, &config);
    pirn_stream *stream = connect_to(server);
    exchange(stream, "a\n");
    pirn_server_release(server);
    exchange(stream, "b\n");
    CHECK_EQ(atomic_load(&uses), 1); /* a handler runs */
    hang_up(stream);
    support_until(&uses, 1001);
    server = new_server(echo, &uses, &config);
    stop_and_release(server);
    support_until(&uses, 2001);
    return 0;
}

START_TEST(drop_comes_after_the_last_handler)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, dropped, NULL));
}
END_TEST

START_TEST(released_or_left_to_the_end)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, leave, ""));
        CHECK_OK(support_run(w, leave, NULL));
        CHECK_EQ(pirn_server_connections(left), 0); /* they have ended with the runtime */
        CHECK_EQ(pirn_server_port(left), -ENOENT);
        pirn_server_release(left);
        support_no_more_than(before);
    }
}
END_TEST

/* Clients that come, talk and go while it is stopped. */
static atomic_int served, turned_away;

static int raced_client(void *arg)
{
    const char *line;
    pirn_stream *stream;
    int port = *(int *)arg;
    support_spin(support_between(0, 20) * US);
    if (try_connect(&stream, port) != 0) {
        atomic_fetch_add(&turned_away, 1);
        return 0;
    }
    pirn_stream_write(stream, "race\n", 5);
    ssize_t n = pirn_stream_read_line(stream, &line, PIRN_NEVER);
    atomic_fetch_add(n == 5 ? &served : &turned_away, 1);
    pirn_stream_release(stream);
    return 0;
}

static int race(void *arg)
{
    enum {
        N = 8
    };
    pirn_task *clients[N];
    (void)arg;
    pirn_server *server = new_server(echo, NULL, NULL);
    int port = pirn_server_port(server);
    for (int i = 0; i < N; i++)
        clients[i] = support_spawn(raced_client, &port);
    CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 500))));
    int rc = pirn_server_stop(server, pirn_after_us(support_between(-100, 500)));
    CHECK(rc == 0 || rc == -ETIMEDOUT);
    CHECK_EQ(pirn_server_connections(server), 0);
    pirn_server_release(server);
    for (int i = 0; i < N; i++)
        CHECK_OK(support_join(clients[i]));
    return 0;
}

START_TEST(a164_race_of_stop_and_clients)
{
    support_census before = support_count();
    for (int i = 0; i < support_rounds(200); i++) {
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, race, NULL));
    }
    support_no_more_than(before);
    CHECK_GE(atomic_load(&served), 1);
    CHECK_GE(atomic_load(&turned_away), 1);
}
END_TEST

/* ---- A limit ---------------------------------------------------------------------------------------- */

static int limited(void *arg)
{
    atomic_int begun = 0;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    (void)arg;
    config.limit = 2;
    pirn_server *server = new_server(echo, &begun, &config);
    pirn_stream *streams[3];
    for (int i = 0; i < 3; i++)
        streams[i] = connect_to(server); /* the third one waits in the backlog */
    exchange(streams[0], "a\n");
    exchange(streams[1], "b\n");
    CHECK_EQ(pirn_stream_write(streams[2], "c\n", 2), 2);
    char buf[2];
    CHECK_EQ(pirn_stream_read(streams[2], buf, 2, pirn_after_ms(5)), -ETIMEDOUT);
    CHECK_EQ(atomic_load(&begun), 2);
    CHECK_EQ(pirn_server_connections(server), 2);
    hang_up(streams[1]);
    CHECK_EQ(pirn_stream_read_exactly(streams[2], buf, 2, NULL, PIRN_NEVER), 2);
    hang_up(streams[0]);
    hang_up(streams[2]);
    stop_and_release(server);
    CHECK_EQ(atomic_load(&begun), 3);
    return 0;
}

START_TEST(a_limit_leaves_the_others_in_the_backlog)
{
    for (int i = 0; i < support_rounds(10); i++) {
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, limited, NULL));
    }
}
END_TEST

/* ---- A165: ports and paths ---------------------------------------------------------------------------- */

static char directory[64], path[80];

static int places(void *arg)
{
    struct stat st;
    char service[8];
    (void)arg;
    pirn_server *server = new_server(echo, NULL, NULL), *other;
    snprintf(service, sizeof(service), "%d", pirn_server_port(server));
    CHECK_OK(pirn_server_new(&other, echo, NULL, NULL));
    CHECK_EQ(pirn_server_listen(other, "127.0.0.1", service, NULL, PIRN_NEVER), -EADDRINUSE);
    CHECK_EQ(pirn_server_port(other), -ENOENT);
    CHECK_OK(pirn_server_listen(other, "localhost", "0", NULL, PIRN_NEVER));
    CHECK_GE(pirn_server_port(other), 1);
    CHECK_OK(pirn_server_close(other)); /* without a connection ever */
    CHECK_OK(pirn_server_wait_closed(other, PIRN_NOW));
    pirn_server_release(other);

    CHECK_OK(pirn_server_listen_unix(server, path, NULL, PIRN_NEVER));
    CHECK_OK(lstat(path, &st));
    pirn_stream *stream;
    CHECK_OK(pirn_stream_connect_unix(&stream, path, NULL, PIRN_NEVER));
    exchange(stream, "by path\n");
    hang_up(stream);
    CHECK_OK(pirn_server_close(server));
    CHECK_EQ(lstat(path, &st), -1);
    pirn_server_release(server);

    CHECK_OK(pirn_server_new(&server, echo, NULL, NULL));
    CHECK_OK(pirn_server_listen_unix(server, path, NULL, PIRN_NEVER));
    char moved[96];
    snprintf(moved, sizeof(moved), "%s-", path);
    CHECK_OK(rename(path, moved)); /* so that its inode is not given to the next */
    CHECK_OK(pirn_server_new(&other, echo, NULL, NULL));
    CHECK_OK(pirn_server_listen_unix(other, path, NULL, PIRN_NEVER));
    CHECK_OK(pirn_server_close(server)); /* whose path is the other's by now */
    CHECK_OK(lstat(path, &st));
    CHECK_OK(unlink(moved));
    pirn_server_release(server);
    stop_and_release(other);
    CHECK_EQ(lstat(path, &st), -1);
    return 0;
}

START_TEST(a165_ports_and_paths)
{
    strcpy(directory, "/tmp/pirn-server-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/socket", directory);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, places, NULL));
    CHECK_OK(rmdir(directory));
}
END_TEST

/* ---- Misuse --------------------------------------------------------------------------------------------- */

static int wrong(void *arg)
{
    pirn_server *server;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    int fds[2];
    (void)arg;
    CHECK_EQ(pirn_server_new(NULL, echo, NULL, NULL), -EINVAL);
    CHECK_EQ(pirn_server_new(&server, NULL, NULL, NULL), -EINVAL);
    config.limit = -1;
    CHECK_EQ(pirn_server_new(&server, echo, NULL, &config), -EINVAL);
    config.limit = 0;
    config.size--;
    CHECK_EQ(pirn_server_new(&server, echo, NULL, &config), -EINVAL);
    CHECK_OK(pirn_server_new(&server, echo, NULL, NULL));
    support_pair(fds);
    CHECK_EQ(pirn_server_add(server, fds[0]), -EINVAL); /* it does not listen, and is still ours */
    close(fds[0]);
    close(fds[1]);
    CHECK_EQ(pirn_server_add(server, -1), -EBADF);
    CHECK_EQ(pirn_server_close(NULL), -EINVAL);
    CHECK_EQ(pirn_server_serve(NULL), -EINVAL);
    CHECK_EQ(pirn_server_connections(NULL), -EINVAL);
    CHECK_OK(pirn_server_stop(server, PIRN_NOW)); /* one that never listened */
    pirn_server_release(server);
    pirn_server_release(NULL);
    return 0;
}

START_TEST(misuse)
{
    pirn_server *server;
    CHECK_EQ(pirn_server_new(&server, echo, NULL, NULL), -EPERM);
    CHECK_OK(support_run(1, wrong, NULL));
}
END_TEST

SUPPORT_MAIN("server", s131_a_hundred_clients_at_once,
             a163_s136_last_words_arrive_and_failures_are_reported_once,
             a164_s133_close_leaves_connections_alone,
             stop_cancels_what_is_left_and_names_what_goes_on, released_or_left_to_the_end,
             drop_comes_after_the_last_handler, a164_race_of_stop_and_clients,
             a_limit_leaves_the_others_in_the_backlog, a165_ports_and_paths, misuse)
