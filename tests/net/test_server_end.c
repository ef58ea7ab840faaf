/*
 * The end of a connection: a peer that has gone, handlers that end it themselves, others that use
 * the stream, stops while it goes on.
 */
#include "tests/net/server.h"

/* ---- A peer that has gone -------------------------------------------------------------------- */

static atomic_int heard;

/* What came before the reset is still there. */
static int in_a_line(pirn_stream *stream, void *user)
{
    const char *line;
    char block[100];
    bool aborts = user != NULL;
    CHECK_EQ(pirn_stream_write(stream, "go on", 5), 5);
    int rc = aborts ? (int)pirn_stream_read_exactly(stream, block, sizeof(block), NULL, PIRN_NEVER)
                    : (int)pirn_stream_read_line(stream, &line, PIRN_NEVER);
    atomic_store(&heard, rc);
    if (aborts)
        CHECK_OK(pirn_stream_abort(stream));
    return rc;
}

static int goes_in_a_line(void *arg)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    char buf[5];
    pirn_server *server = new_server(in_a_line, arg, NULL);
    pirn_address address = {.len = sizeof(address.addr)};
    CHECK_OK(pirn_server_address(server, 0, &address));
    int fd = support_socket();
    atomic_store(&heard, 1);
    CHECK_OK(pirn_connect(fd, &address.addr.any, address.len, PIRN_NEVER));
    CHECK_EQ(pirn_send(fd, "begun", 5, 0, PIRN_NEVER), 5);
    CHECK_EQ(pirn_recv(fd, buf, 5, MSG_WAITALL, PIRN_NEVER), 5);
    while (pirn_server_connections(server) == 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_sleep(pirn_after_ms(20))); /* it has read the beginning, as a rule */
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
    CHECK_OK(pirn_close(fd));
    while (pirn_server_connections(server) != 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(atomic_load(&heard), -ECONNRESET);
    stop_and_release(server);
    return 0;
}

START_TEST(a_peer_that_goes_in_the_middle_of_a_line_is_no_failure)
{
    FOR_WORKERS(w)
    {
        for (int aborts = 0; aborts < 2; aborts++) {
            support_report report = SUPPORT_REPORT_INIT;
            CHECK_OK(support_run_reported(w, &report, goes_in_a_line, aborts ? "" : NULL));
            CHECK_EQ(support_reported(&report, "127.0.0.1"), 0);
        }
    }
}
END_TEST

/* ---- Others that use the stream -------------------------------------------------------------- */

static pirn_event may_read;
static pirn_task *reader;

static int reads_later(void *arg)
{
    char buf[16];
    pirn_stream *stream = arg;
    CHECK_OK(pirn_event_wait(&may_read, PIRN_NEVER));
    int rc = (int)pirn_stream_read(stream, buf, sizeof(buf), PIRN_NEVER);
    CHECK_EQ(rc, -EBADF);
    CHECK_EQ(pirn_stream_write(stream, "more", 4), -EBADF);
    pirn_stream_release(stream);
    return 0;
}

static int leaves_a_reader(pirn_stream *stream, void *user)
{
    (void)user;
    CHECK_OK(pirn_spawn(&reader, reads_later, pirn_stream_retain(stream)));
    CHECK_EQ(pirn_stream_write(stream, "bye", 3), 3);
    return 0;
}

/* A reader that is not in a call when the handler returns finds the stream closed. */
static int read_late(void *arg)
{
    char buf[4];
    (void)arg;
    pirn_event_init(&may_read);
    pirn_server *server = new_server(leaves_a_reader, NULL, NULL);
    pirn_stream *stream = connect_to(server);
    CHECK_EQ(pirn_stream_read_exactly(stream, buf, 3, NULL, PIRN_NEVER), 3);
    CHECK_EQ(pirn_stream_read(stream, buf, 1, PIRN_NEVER), 0); /* its end; ours has not come */
    pirn_event_set(&may_read);
    CHECK_OK(support_join(reader));
    hang_up(stream);
    stop_and_release(server);
    return 0;
}

START_TEST(who_reads_after_the_handler_finds_it_closed)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, read_late, NULL));
}
END_TEST

/* ---- Stops ----------------------------------------------------------------------------------- */

/* A connection's stream above the descriptor's: its peer never stops sending, or says nothing. */
struct peer {
    pirn_stream *below;
    bool talks;
};

static atomic_int at_work, finished;

static ssize_t peer_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    struct peer *p = self;
    if (!p->talks)
        return pirn_stream_read(p->below, buf, n, deadline);
    memset(buf, 'x', n);
    return (ssize_t)n;
}

static ssize_t peer_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    (void)deadline;
    return pirn_stream_write(((struct peer *)self)->below, buf, n);
}

static ssize_t peer_try_write(void *self, const struct iovec *iov, int count)
{
    return pirn_stream_writev(((struct peer *)self)->below, iov, count);
}

static int peer_end(void *self, pirn_time deadline)
{
    return pirn_stream_end(((struct peer *)self)->below, deadline);
}

static int peer_close(void *self)
{
    return pirn_stream_abort(((struct peer *)self)->below);
}

static int peer_finish(void *self, pirn_time deadline)
{
    atomic_fetch_add(&finished, 1);
    return pirn_stream_flush(((struct peer *)self)->below, deadline);
}

static void peer_free(void *self)
{
    pirn_stream_release(((struct peer *)self)->below);
    free(self);
}

static int peer_open(void *user, pirn_stream **ret_stream, pirn_stream *below, pirn_time deadline)
{
    static const pirn_transport ops = {.size = sizeof(ops),
                                       .read = peer_read,
                                       .write = peer_write,
                                       .end = peer_end,
                                       .close = peer_close,
                                       .free = peer_free,
                                       .try_write = peer_try_write,
                                       .finish = peer_finish};
    struct peer *p = calloc(1, sizeof(*p));
    (void)deadline;
    CHECK(p != NULL);
    *p = (struct peer){below, *(bool *)user};
    CHECK_OK(pirn_stream_over(ret_stream, &ops, p, NULL));
    return 0;
}

/* Its last words are written before it is told of the cancel that has come, or after that. */
static int last_words(pirn_stream *stream, void *user)
{
    bool told = *(bool *)user;
    atomic_store(&at_work, 1);
    if (told) {
        CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    } else {
        CHECK_OK(pirn_shield_enter());
        while (pirn_cancelling(NULL) == 0)
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        CHECK_OK(pirn_shield_leave());
    }
    CHECK_EQ(pirn_stream_write(stream, "bye", 3), 3);
    return 0;
}

/* The stop does not wait for a peer that never is silent; and what the handler has said is said
 * properly. */
static int stopped_at_work(void *arg)
{
    bool told = *(bool *)arg, talks = told;
    char buf[4];
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    config.open = peer_open;
    config.open_user = &talks;
    config.linger = pirn_span_s(60);
    config.grace = pirn_span_s(20);
    atomic_store(&at_work, 0);
    atomic_store(&finished, 0);
    pirn_server *server = new_server(last_words, &told, &config);
    pirn_stream *stream = connect_to(server);
    support_until(&at_work, 1);
    CHECK_EQ(pirn_server_stop(server, PIRN_NOW), -ETIMEDOUT); /* not -EBUSY */
    CHECK_EQ(atomic_load(&finished), 1);
    CHECK_EQ(pirn_stream_read_exactly(stream, buf, 3, NULL, PIRN_NEVER), 3);
    CHECK_EQ(pirn_stream_read(stream, buf, 1, PIRN_NEVER), 0);
    hang_up(stream);
    pirn_server_release(server);
    return 0;
}

START_TEST(a_stop_waits_for_no_peer_and_last_words_are_said)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, stopped_at_work, &(bool){false}));
        CHECK_OK(support_run(w, stopped_at_work, &(bool){true}));
    }
}
END_TEST

SUPPORT_MAIN("server_end", a_peer_that_goes_in_the_middle_of_a_line_is_no_failure,
             who_reads_after_the_handler_finds_it_closed,
             a_stop_waits_for_no_peer_and_last_words_are_said)
