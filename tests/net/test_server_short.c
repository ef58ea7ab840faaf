/*
 * Servers that are short of something: connections they may have, descriptors, and tasks.
 */
#include "tests/net/server.h"

#include <sys/resource.h>

/* ---- A limit --------------------------------------------------------------------------------- */

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
    pirn_server *server = new_server(echo, NULL, &config);
    for (int i = 1; i < PLACES; i++)
        CHECK_OK(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    for (size_t place = 0; place < PLACES; place++) {
        for (int i = 0; i < LIMIT; i++) {
            streams[i] = connect_at(server, place);
            exchange(streams[i], "word\n");
        }
        CHECK_EQ(pirn_server_connections(server), LIMIT);
        streams[LIMIT] = connect_at(server, (place + 1) % PLACES);
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

/* ---- A limit that refuses -------------------------------------------------------------------- */

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
    pirn_server *server = new_server(echo, NULL, &config);
    for (int i = 0; i < 2; i++) {
        streams[i] = connect_to(server);
        CHECK_EQ(say(streams[i]), 1);
    }
    for (int i = 0; i < 10; i++) {
        streams[2] = connect_to(server);
        CHECK_LE(say(streams[2]), 0);
        CHECK_EQ(pirn_server_connections(server), 2);
        pirn_stream_release(streams[2]);
    }
    pirn_stream_release(streams[0]);
    ssize_t answer;
    do { /* once the server has seen that */
        streams[0] = connect_to(server);
        answer = say(streams[0]);
        if (answer != 1)
            pirn_stream_release(streams[0]);
    } while (answer != 1);
    CHECK_EQ(say(streams[1]), 1);
    pirn_stream_release(streams[0]);
    pirn_stream_release(streams[1]);
    stop_and_release(server);
    return 0;
}

START_TEST(a_limit_that_refuses)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, refuse, NULL));
}
END_TEST

/* ---- A153: no descriptor to accept with ------------------------------------------------------ */

static support_report said;

static pirn_address place_of(pirn_server *server, size_t i)
{
    pirn_address address;
    CHECK_OK(pirn_server_address(server, i, &address));
    return address;
}

/* Is the number free, or the monitor's for a moment (it looks whether a worker runs)? */
static bool is_to_be_had(int fd)
{
    char name[32], what[64];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, what, sizeof(what));
    return n < 0 || (n > 6 && memcmp(what, "/proc/", 6) == 0);
}

/* From now on a new descriptor's number would be too high. */
static struct rlimit run_out(void)
{
    struct rlimit limit, none;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    none = limit;
    for (none.rlim_cur = 0; !is_to_be_had((int)none.rlim_cur);)
        none.rlim_cur++;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
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
    pirn_server *server = new_server(echo, NULL, &config);
    pirn_stream *before = connect_to(server);
    exchange(before, "word\n");
    for (int round = 1; round <= 2; round++) {
        pirn_address address = place_of(server, 0);
        pirn_stream *streams[2];
        char buf[5];
        int fds[2] = {support_socket(), support_socket()};
        struct rlimit old = run_out();
        /* The request that is under way goes by the limit of before, so there may be a first
         * one. */
        for (int i = 0; i < 2; i++)
            CHECK_OK(pirn_connect(fds[i], &address.addr.any, address.len, PIRN_NEVER));
        while (support_reported(&said, "a server pauses") < round)
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));

        int64_t begun = support_now();
        uint64_t submitted = submissions();
        CHECK_OK(pirn_sleep(pirn_after_ms(220)));
        submitted = submissions() - submitted;
        int64_t pauses = (support_now() - begun) / (100 * MS); /* that can have gone by since */
        CHECK_LE(submitted, (uint64_t)(2 * (pauses + 2)));     /* a try is two requests at most */
        CHECK_EQ(support_reported(&said, "a server pauses"), round);
        exchange(before, "word\n"); /* the others go on */
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
            said = (support_report)SUPPORT_REPORT_INIT;
            CHECK_OK(support_run_reported(w, &said, descriptors_run_out, &limit));
            support_no_more_than(before);
        }
    }
}
END_TEST

/* It is stopped while it pauses. */
static int stopped_in_a_pause(void *arg)
{
    (void)arg;
    pirn_server *server = new_server(echo, NULL, NULL);
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
        said = (support_report)SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &said, stopped_in_a_pause, NULL));
        support_no_more_than(before);
    }
}
END_TEST

/* ---- No task for a connection ---------------------------------------------------------------- */

/* One connection more than the first gets a task; the server pauses. */
static pirn_server *tasks_run_out(const int *limit, pirn_stream *streams[3])
{
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    config.limit = *limit;
    pirn_server *server = new_server(echo, NULL, &config);
    pirn_address address = place_of(server, 0);
    for (int i = 0; i < 3; i++) {
        int fd = support_socket();
        CHECK_OK(pirn_connect(fd, &address.addr.any, address.len, PIRN_NEVER));
        CHECK_OK(pirn_stream_new(&streams[i], fd, NULL));
        if (i == 0)
            exchange(streams[0], "word\n");
        else
            CHECK_EQ(pirn_stream_write(streams[i], "word\n", 5), 5);
    }
    while (support_reported(&said, "a server pauses") < 1)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    return server;
}

static int nobody_is_lost(void *arg)
{
    pirn_stream *streams[3];
    pirn_server *server = tasks_run_out(arg, streams);
    char buf[5];
    CHECK_OK(pirn_sleep(pirn_after_ms(220))); /* it has tried again */
    CHECK_EQ(support_reported(&said, "a server pauses"), 1);
    CHECK_EQ(support_reported(&said, "(max_tasks)"), 1);
    exchange(streams[0], "word\n");
    for (int i = 1; i < 3; i++) {
        CHECK_EQ(pirn_stream_read(streams[i], buf, 5, PIRN_NOW), -ETIMEDOUT);
        hang_up(streams[i - 1]);
        CHECK_EQ(pirn_stream_read_exactly(streams[i], buf, 5, NULL, PIRN_NEVER), 5);
    }
    hang_up(streams[2]);
    stop_and_release(server);
    return 0;
}

/* It is closed while it has a connection that has no task. */
static int closed_with_one(void *arg)
{
    pirn_stream *streams[3];
    pirn_server *server = tasks_run_out(arg, streams);
    char byte;
    CHECK_OK(pirn_server_close(server));
    CHECK_EQ(pirn_server_connections(server), 1);
    for (int i = 1; i < 3; i++) {
        CHECK_EQ(pirn_stream_read(streams[i], &byte, 1, PIRN_NEVER), -ECONNRESET);
        pirn_stream_release(streams[i]);
    }
    exchange(streams[0], "word\n");
    hang_up(streams[0]);
    CHECK_OK(pirn_server_wait_closed(server, PIRN_NEVER));
    pirn_server_release(server);
    return 0;
}

START_TEST(max_tasks_loses_no_connection)
{
    FOR_WORKERS(w)
    {
        for (int limit = 0; limit <= 3; limit += 3) {
            support_census before = support_count();
            pirn_config config = support_reporting(w, &said);
            config.max_tasks = 3; /* main, the one that accepts, and a connection */
            said = (support_report)SUPPORT_REPORT_INIT;
            CHECK_OK(support_run_with(&config, nobody_is_lost, &limit));
            said = (support_report)SUPPORT_REPORT_INIT;
            CHECK_OK(support_run_with(&config, closed_with_one, &limit));
            support_no_more_than(before);
        }
    }
}
END_TEST

SUPPORT_MAIN("server_short", a_limit_leaves_the_others_in_the_backlog,
             a_limit_is_shared_by_all_listeners, a_limit_that_refuses,
             a153_no_descriptors_a_pause_and_on_it_goes, a153_stopped_in_a_pause,
             max_tasks_loses_no_connection)
