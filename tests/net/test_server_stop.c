/*
 * The ends of servers: closed, stopped, released, left to the runtime's end, and what goes on all
 * the same.
 */
#include "tests/net/server.h"

/* ---- A164, S133: closing --------------------------------------------------------------------- */

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

/* ---- Stopping -------------------------------------------------------------------------------- */

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
    config.grace = (pirn_span){20 * MS};
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
        CHECK_OK(support_run_reported(w, &report, stopping, NULL));
        CHECK_EQ(support_reported(&report, "goes on"), 0);
        CHECK_OK(support_run_reported(w, &report, stopping, ""));
        CHECK_EQ(support_reported(&report, "goes on"), 3);
        support_no_more_than(before);
    }
}
END_TEST

/* ---- Stopped twice --------------------------------------------------------------------------- */

static atomic_int cancels;

static int counts_cancels(pirn_stream *stream, void *user)
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
    config.grace = (pirn_span){5 * MS};
    atomic_store(&let_go, 0);
    atomic_store(&cancels, 0);
    pirn_server *server = new_server(counts_cancels, NULL, &config);
    pirn_stream *stream = connect_to(server);
    CHECK_EQ(pirn_stream_read(stream, &c, 1, PIRN_NEVER), 1);
    pirn_task *first = support_spawn(stop, server), *second = support_spawn(stop, server);
    CHECK_EQ(support_join(first), -EBUSY);
    CHECK_EQ(support_join(second), -EBUSY);
    support_until(&cancels, 1);
    int before = atomic_load(&cancels);
    CHECK_EQ(pirn_server_stop(server, PIRN_NOW), -EBUSY);
    support_until(&cancels, before + 1); /* it has been cancelled again */
    atomic_store(&let_go, 1);
    int rc = pirn_server_stop(server, PIRN_NOW);
    bool late = rc == -EBUSY; /* its grace may be too short for the handler's last steps */
    while (rc == -EBUSY)
        rc = pirn_server_stop(server, PIRN_NOW);
    CHECK(rc == -ETIMEDOUT || (late && rc == 0));
    hang_up(stream);
    pirn_server_release(server);
    return 0;
}

START_TEST(each_stop_tells_what_goes_on)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, stopped_twice, NULL));
        CHECK_GE(support_reported(&report, "goes on"), 2);
    }
}
END_TEST

/* ---- A stop that is cancelled ---------------------------------------------------------------- */

/* What a stop does not report of a cancel comes afterwards, once; what it reports does not come
 * again. */
static int stop_and_look(void *arg)
{
    int rc = pirn_server_stop(arg, PIRN_NEVER);
    CHECK_EQ(pirn_yield(), rc == -EBUSY ? -ECANCELED : 0);
    CHECK(strcmp(pirn_cancel_reason(), "enough") == 0);
    CHECK_EQ(pirn_cancelling(NULL), 1);
    CHECK_OK(pirn_yield());
    return rc;
}

/* A timeout's goes on until that is left, and no longer. */
static int stop_in_a_timeout(pirn_server *server)
{
    pirn_timeout timeout = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(&timeout, PIRN_NOW));
    int rc = pirn_server_stop(server, PIRN_NEVER);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&timeout, rc), rc);
    CHECK_OK(pirn_yield());
    return rc;
}

static int cancelled_stops(void *arg)
{
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    char c;
    (void)arg;
    config.grace = (pirn_span){5 * MS};
    atomic_store(&let_go, 0);
    pirn_server *server = new_server(counts_cancels, NULL, &config);
    pirn_server *other = new_server(echo, NULL, NULL);
    pirn_stream *stream = connect_to(server), *mild = connect_to(other);
    CHECK_EQ(pirn_stream_read(stream, &c, 1, PIRN_NEVER), 1);
    exchange(mild, "mild\n");
    pirn_task *task = support_spawn(stop_and_look, server);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, "enough"));
    CHECK_EQ(support_join(task), -EBUSY);
    CHECK_EQ(stop_in_a_timeout(server), -EBUSY);
    task = support_spawn(stop_and_look, other);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, "enough"));
    CHECK_EQ(support_join(task), -ECANCELED);
    atomic_store(&let_go, 1);
    hang_up(stream);
    hang_up(mild);
    CHECK_OK(pirn_server_stop(server, PIRN_NEVER));
    pirn_server_release(server);
    pirn_server_release(other);
    return 0;
}

START_TEST(a_stop_that_leaves_somebody_leaves_its_cancel)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, cancelled_stops, NULL));
}
END_TEST

/* ---- Released, or left to the end ------------------------------------------------------------ */

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

/* ---- What is dropped, and when --------------------------------------------------------------- */

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

/* ---- A164: raced ----------------------------------------------------------------------------- */

/* Clients that come, talk and go while it is stopped; or before, or they are there before and talk
 * after, so that each is seen on any machine. */
static atomic_int served, turned_away;

struct crowd {
    int port;
    atomic_int connected, may_talk;
};

static int raced_client(void *arg)
{
    struct crowd *crowd = arg;
    const char *line;
    pirn_stream *stream;
    support_spin(support_between(0, 20) * US);
    if (try_connect(&stream, crowd->port) != 0) {
        atomic_fetch_add(&turned_away, 1);
        return 0;
    }
    atomic_fetch_add(&crowd->connected, 1);
    support_until(&crowd->may_talk, 1);
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
    int round = *(int *)arg, served_before = atomic_load(&served);
    bool before = round % 8 == 0, after = round % 8 == 1;
    pirn_server *server = new_server(echo, NULL, NULL);
    struct crowd crowd = {.port = pirn_server_port(server), .may_talk = !after};
    for (int i = 0; i < N; i++)
        clients[i] = support_spawn(raced_client, &crowd);
    if (before)
        support_until(&served, served_before + N);
    else if (after)
        support_until(&crowd.connected, N);
    else
        CHECK_OK(pirn_sleep(pirn_after_us(support_between(0, 500))));
    int rc = pirn_server_stop(server, pirn_after_us(support_between(-100, 500)));
    CHECK(rc == 0 || rc == -ETIMEDOUT);
    CHECK_EQ(pirn_server_connections(server), 0);
    pirn_server_release(server);
    atomic_store(&crowd.may_talk, 1);
    for (int i = 0; i < N; i++)
        CHECK_OK(support_join(clients[i]));
    if (after)
        CHECK_EQ(atomic_load(&served), served_before);
    return 0;
}

START_TEST(a164_race_of_stop_and_clients)
{
    support_census before = support_count();
    for (int i = 0; i < support_rounds(200); i++) {
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, race, &i));
    }
    support_no_more_than(before);
    CHECK_GE(atomic_load(&served), 1);
    CHECK_GE(atomic_load(&turned_away), 1);
}
END_TEST

/* ---- A handler that has left its stream to others -------------------------------------------- */

static pirn_task *closer;

static int closes_for_ever(void *arg)
{
    int rc = pirn_stream_close(arg, PIRN_NEVER);
    pirn_stream_release(arg);
    return rc;
}

static int leaves_it(pirn_stream *stream, void *user)
{
    static char block[1 << 20];
    int small = 4096;
    CHECK_OK(setsockopt(pirn_stream_fd(stream), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
    while (pirn_stream_pending(stream) == 0) /* more than the peer's socket takes */
        CHECK_EQ(pirn_stream_write(stream, block, sizeof(block)), sizeof(block));
    closer = support_spawn(closes_for_ever, pirn_stream_retain(stream));
    support_until_waiting(closer);
    atomic_store((atomic_int *)user, 1);
    return 0;
}

/* Somebody else closes the stream and would wait for a peer that reads nothing. */
static int closed_all_the_same(void *arg)
{
    bool cancelled = arg != NULL;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    atomic_int handed;
    atomic_init(&handed, 0);
    config.linger = (pirn_span){cancelled ? 3600000 * MS : 5 * MS};
    config.grace = pirn_span_s(200);
    pirn_server *server = new_server(leaves_it, &handed, &config);
    pirn_stream *stream = connect_to(server);
    support_until(&handed, 1);
    CHECK_EQ(pirn_server_stop(server, cancelled ? pirn_after_ms(5) : PIRN_NEVER),
             cancelled ? -ETIMEDOUT : 0);
    int status = -EINPROGRESS;
    CHECK_OK(pirn_await(closer, &status, pirn_after_s(20)));
    CHECK_EQ(status, -EBADF);
    pirn_detach(closer);
    pirn_server_release(server);
    pirn_stream_release(stream);
    return 0;
}

START_TEST(who_closes_a_stream_for_ever_does_not_keep_the_connection)
{
    FOR_WORKERS(w)
    {
        support_census before = support_count();
        CHECK_OK(support_run(w, closed_all_the_same, NULL));
        CHECK_OK(support_run(w, closed_all_the_same, ""));
        support_no_more_than(before);
    }
}
END_TEST

SUPPORT_MAIN("server_stop", a164_s133_close_leaves_connections_alone,
             stop_cancels_what_is_left_and_names_what_goes_on, each_stop_tells_what_goes_on,
             a_stop_that_leaves_somebody_leaves_its_cancel, released_or_left_to_the_end,
             drop_comes_after_the_last_handler, a164_race_of_stop_and_clients,
             who_closes_a_stream_for_ever_does_not_keep_the_connection)
