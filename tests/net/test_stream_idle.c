/*
 * Idle timeouts of streams and servers: a read for which nothing comes ends by itself, each byte
 * gives it as long again, and what comes at the same moment is not lost.
 */
#include "api/stream/stream.h"
#include "tests/support.h"

static pirn_stream *new_stream(int fd, int64_t idle)
{
    pirn_stream *stream;
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    config.idle.ns = idle;
    CHECK_OK(pirn_stream_new(&stream, fd, &config));
    return stream;
}

static void drop(pirn_stream *stream)
{
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    pirn_stream_release(stream);
}

/* ---- What a transport is asked for ----------------------------------------------------------- */

struct transport {
    const char *text;
    int64_t idle, deadline; /* what is to be asked for: the span, or the sooner deadline */
    int calls;
};

static ssize_t give_one(void *self, void *buf, size_t n, pirn_time deadline)
{
    struct transport *t = self;
    int64_t now = pirn_now().ns;
    CHECK_GE(n, 1);
    t->calls++;
    CHECK_LE(deadline.ns, t->deadline);
    CHECK_LE(deadline.ns, now + t->idle);
    if (*t->text == '\0') { /* nothing more comes: one that waits for it is given up then */
        while (pirn_sleep(deadline) != 0)
            ;
        return -ETIMEDOUT;
    }
    *(char *)buf = *t->text++;
    return 1;
}

static ssize_t no_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)deadline;
    return (ssize_t)n;
}

static int no_close(void *self)
{
    (void)self;
    return 0;
}

static const pirn_transport gives_one = {
    .size = sizeof(gives_one), .read = give_one, .write = no_write, .close = no_close};

static int spans(void *arg)
{
    struct transport t = {"many words, each byte of which may take as long", 0, INT64_MAX, 0};
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    pirn_stream *stream;
    const char *view;
    char buf[64];
    size_t n = strlen(t.text);
    (void)arg;
    t.idle = config.idle.ns = 20 * MS;
    CHECK_OK(pirn_stream_over(&stream, &gives_one, &t, &config));
    CHECK_EQ(pirn_stream_peek(stream, &view, n - 5, PIRN_NEVER), n - 5); /* a wait for each byte */
    CHECK_EQ(t.calls, n - 5);
    int64_t begin = support_now();
    CHECK_EQ(pirn_stream_read_exactly(stream, buf, 60, NULL, PIRN_NEVER), -ETIMEDOUT);
    CHECK_GE(support_now() - begin, 20 * MS);
    CHECK(stream_idled(stream));
    CHECK_EQ(pirn_stream_read_line(stream, &view, PIRN_NEVER), -ETIMEDOUT);
    t.deadline = pirn_after_ms(1).ns; /* sooner than idle */
    CHECK_EQ(pirn_stream_read_line(stream, &view, (pirn_time){t.deadline}), -ETIMEDOUT);
    CHECK(!stream_idled(stream));
    CHECK_EQ(pirn_stream_read(stream, buf, sizeof(buf), PIRN_NEVER), n); /* nothing is lost */
    drop(stream);
    config.idle.ns = -1;
    CHECK_EQ(pirn_stream_over(&stream, &gives_one, &t, &config), -EINVAL);
    return 0;
}

START_TEST(a160_each_byte_may_take_as_long)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, spans, NULL));
}
END_TEST

/* ---- Every call that reads ------------------------------------------------------------------- */

static int every_call(void *arg)
{
    static char large[40000];
    int pair[2];
    const char *view;
    char *all;
    (void)arg;
    support_pair(pair);
    pirn_stream *s = new_stream(pair[0], 2 * MS);
    CHECK_EQ(pirn_stream_read(s, large, 1, PIRN_NEVER), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_read(s, large, sizeof(large), PIRN_NEVER), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_read_exactly(s, large, 2, NULL, PIRN_NEVER), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_read_exactly(s, large, sizeof(large), NULL, PIRN_NEVER), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_read_line(s, &view, PIRN_NEVER), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_read_until(s, &view, "xy", 2, PIRN_NEVER), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_read_all(s, &all, 100, PIRN_NEVER), -ETIMEDOUT);
    CHECK_EQ(pirn_stream_peek(s, &view, 1, PIRN_NEVER), -ETIMEDOUT);
    support_send_all(pair[1], "word", 4); /* and goes on */
    CHECK_EQ(pirn_stream_read_line(s, &view, PIRN_NEVER), -ETIMEDOUT);
    support_send_all(pair[1], "\n", 1);
    CHECK_EQ(pirn_stream_read_line(s, &view, PIRN_NEVER), 5);
    drop(s);
    pirn_close(pair[1]);
    return 0;
}

START_TEST(a156_every_read_can_be_idle)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, every_call, NULL));
}
END_TEST

/* ---- Bytes that come just when the time is over ---------------------------------------------- */

enum {
    IDLE_US = 150
};

struct race {
    pirn_stream *stream;
    int fd, rounds;
    atomic_int turn; /* the number of the byte that may be sent */
    int idle, came;
};

static int send_late(void *arg)
{
    struct race *race = arg;
    for (int i = 1; i <= race->rounds; i++) {
        char c = (char)i;
        while (atomic_load(&race->turn) < i)
            CHECK_OK(pirn_yield());
        CHECK_OK(pirn_sleep(pirn_after_us(support_between(IDLE_US - 100, IDLE_US + 100))));
        CHECK_EQ(pirn_send(race->fd, &c, 1, 0, PIRN_NEVER), 1);
    }
    return 0;
}

static int receive_late(void *arg)
{
    static const size_t sizes[] = {1, 20000};
    struct race *race = arg;
    static char buf[20000];
    for (int i = 1; i <= race->rounds; i++) {
        ssize_t n;
        buf[0] = 0;
        atomic_store(&race->turn, i);
        while ((n = pirn_stream_read(race->stream, buf, sizes[i % 2], PIRN_NEVER)) == -ETIMEDOUT)
            race->idle++;
        CHECK_EQ(n, 1);
        CHECK_EQ(buf[0], (char)i);
        race->came++;
    }
    return 0;
}

static int race_both(void *arg)
{
    struct race race = {.rounds = support_rounds(400)};
    int pair[2];
    (void)arg;
    support_pair(pair);
    race.fd = pair[1];
    race.stream = new_stream(pair[0], IDLE_US * US);
    pirn_task *sender = support_spawn(send_late, &race);
    CHECK_OK(receive_late(&race));
    CHECK_OK(support_join(sender));
    CHECK_EQ(race.came, race.rounds);
    drop(race.stream);
    pirn_close(pair[1]);
    return 0;
}

START_TEST(a160_race_of_bytes_and_idleness)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, race_both, NULL));
}
END_TEST

/* ---- Servers --------------------------------------------------------------------------------- */

enum {
    QUIET = 50
};

static atomic_int ended, timed_out;

static int echo(pirn_stream *stream, void *user)
{
    char buf[64];
    ssize_t n;
    while ((n = pirn_stream_read(stream, buf, sizeof(buf), PIRN_NEVER)) > 0)
        pirn_stream_write(stream, buf, (size_t)n);
    atomic_fetch_add(&timed_out, n == -ETIMEDOUT);
    atomic_fetch_add(&ended, 1);
    return user != NULL ? -ETIMEDOUT : (int)n; /* of something else, as far as a server can tell */
}

static int dial(pirn_server *server)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)pirn_server_port(server)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = support_socket();
    CHECK_OK(pirn_connect(fd, (struct sockaddr *)&addr, sizeof(addr), PIRN_NEVER));
    return fd;
}

static int hang_on(void *arg)
{
    pirn_server *server;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    char buf[8];
    int quiet[QUIET];
    (void)arg;
    atomic_store(&ended, 0);
    atomic_store(&timed_out, 0);
    config.idle.ns = -1;
    CHECK_EQ(pirn_server_new(&server, echo, NULL, &config), -EINVAL);
    config.idle.ns = 5 * MS;
    CHECK_OK(pirn_server_new(&server, echo, NULL, &config));
    CHECK_OK(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    for (int i = 0; i < QUIET; i++)
        quiet[i] = dial(server);
    for (int i = 0; i < QUIET; i++) {
        CHECK_EQ(pirn_recv(quiet[i], buf, sizeof(buf), 0, PIRN_NEVER), 0);
        pirn_close(quiet[i]);
    }
    support_until(&ended, QUIET);
    CHECK_EQ(atomic_load(&timed_out), QUIET);
    CHECK_OK(pirn_server_stop(server, PIRN_NEVER));
    pirn_server_release(server);
    return 0;
}

/* A handler that fails with the same error of its own is reported. */
static int fail_alike(void *arg)
{
    pirn_server *server;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    (void)arg;
    atomic_store(&ended, 0);
    config.idle.ns = 1000000 * MS;
    CHECK_OK(pirn_server_new(&server, echo, "fails", &config));
    CHECK_OK(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    pirn_close(dial(server));
    support_until(&ended, 1);
    CHECK_OK(pirn_server_stop(server, PIRN_NEVER));
    pirn_server_release(server);
    return 0;
}

START_TEST(a163_who_says_nothing_is_sent_away)
{
    FOR_WORKERS(w)
    {
        support_report said = SUPPORT_REPORT_INIT;
        support_census before = support_count();
        CHECK_OK(support_run_reported(w, &said, hang_on, NULL));
        CHECK_EQ(said.used, 0);
        CHECK_OK(support_run_reported(w, &said, fail_alike, NULL));
        CHECK_EQ(support_reported(&said, "nobody looked"), 1);
        support_no_more_than(before);
    }
}
END_TEST

SUPPORT_MAIN("net/stream_idle", a160_each_byte_may_take_as_long, a156_every_read_can_be_idle,
             a160_race_of_bytes_and_idleness, a163_who_says_nothing_is_sent_away)
