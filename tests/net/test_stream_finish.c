/* wraps pirn_task_spawn */
/*
 * A flush, which waits until all is sent and ends nothing; an end that several ask for; and a
 * transport's last word before a close.
 */
#include "tests/net/no_sender.h"

/* Reads so much and throws it away. */
static void take(int fd, size_t n)
{
    char buf[65536];
    while (n != 0) {
        ssize_t got = pirn_read(fd, buf, n < sizeof(buf) ? n : sizeof(buf), PIRN_NEVER);
        CHECK_GE(got, 1);
        n -= (size_t)got;
    }
}

static int flushed(void *stream)
{
    return pirn_stream_flush(stream, PIRN_NEVER);
}

static int flush(void *arg)
{
    static char block[4 << 20];
    pirn_stream *stream;
    int pair[2];
    (void)arg;
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&stream, pair[0], NULL));
    CHECK_OK(pirn_stream_flush(stream, PIRN_NOW)); /* nothing is waited for */
    CHECK_EQ(pirn_stream_write(stream, block, sizeof(block)), sizeof(block));
    CHECK_EQ(pirn_stream_flush(stream, PIRN_NOW), -ETIMEDOUT);
    CHECK_GE(pirn_stream_pending(stream), 1);
    pirn_task *task = support_spawn(flushed, stream);
    support_until_waiting(task);
    take(pair[1], sizeof(block));
    CHECK_OK(support_join(task));
    CHECK_EQ(pirn_stream_pending(stream), 0);
    CHECK_EQ(pirn_stream_write(stream, "x", 1), 1); /* nothing has ended */
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    CHECK_EQ(pirn_stream_flush(stream, PIRN_NEVER), -EBADF);
    pirn_stream_release(stream);
    CHECK_OK(close(pair[1]));
    return 0;
}

START_TEST(a_flush_waits_until_all_is_sent)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, flush, NULL));
}
END_TEST

/* ---- Several ends at once -------------------------------------------------------------------- */

static int ended(void *stream)
{
    return pirn_stream_end(stream, PIRN_NEVER);
}

/* The first gives up while it waits; the second does not, and has the peer told. */
static int ended_by_the_second(void *arg)
{
    static char block[4 << 20];
    pirn_stream *stream;
    int pair[2];
    (void)arg;
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&stream, pair[0], NULL));
    CHECK_EQ(pirn_stream_write(stream, block, sizeof(block)), sizeof(block));
    pirn_task *first = support_spawn(ended, stream);
    support_until_waiting(first);
    pirn_task *second = support_spawn(ended, stream);
    support_until_waiting(second);
    CHECK_EQ(pirn_stream_end(stream, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(pirn_cancel(first, NULL));
    CHECK_EQ(support_join(first), -ECANCELED);
    take(pair[1], sizeof(block));
    CHECK_OK(support_join(second));
    CHECK_EQ(pirn_read(pair[1], block, 1, PIRN_NOW), 0);
    CHECK_EQ(pirn_stream_write(stream, "x", 1), -EPIPE);
    CHECK_OK(pirn_stream_end(stream, PIRN_NOW)); /* again */
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    pirn_stream_release(stream);
    CHECK_OK(close(pair[1]));
    return 0;
}

START_TEST(an_end_that_is_given_up_leaves_the_other_one)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, ended_by_the_second, NULL));
}
END_TEST

/* A transport whose end takes its time. */
struct slow {
    atomic_int inside;
    pirn_event go;
    int answer;
};

static int slow_end(void *self, pirn_time deadline)
{
    struct slow *s = self;
    CHECK_EQ(atomic_fetch_add(&s->inside, 1), 0); /* one at a time */
    int rc = pirn_event_wait(&s->go, deadline);
    atomic_fetch_sub(&s->inside, 1);
    return rc == 0 ? s->answer : rc;
}

static int nothing_to_close(void *self)
{
    (void)self;
    return 0;
}

static ssize_t nothing_to_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)n, (void)deadline;
    return 0;
}

static ssize_t takes_all(void *self, const void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)deadline;
    return (ssize_t)n;
}

static int end_takes_its_time(void *arg)
{
    static const pirn_transport ops = {.size = sizeof(ops),
                                       .read = nothing_to_read,
                                       .write = takes_all,
                                       .close = nothing_to_close,
                                       .end = slow_end};
    (void)arg;
    for (int answer = 0; answer >= -EIO; answer -= EIO) {
        struct slow slow = {.answer = answer};
        pirn_stream *stream;
        pirn_task *tasks[3];
        pirn_event_init(&slow.go);
        CHECK_OK(pirn_stream_over(&stream, &ops, &slow, NULL));
        for (int i = 0; i < 3; i++) {
            tasks[i] = support_spawn(ended, stream);
            support_until_waiting(tasks[i]);
            CHECK_EQ(atomic_load(&slow.inside), 1);
        }
        CHECK_EQ(pirn_stream_end(stream, PIRN_NOW), -ETIMEDOUT); /* the peer has not been told */
        pirn_event_set(&slow.go);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(support_join(tasks[i]), answer);
        CHECK_EQ(pirn_stream_write(stream, "x", 1), answer == 0 ? -EPIPE : 1);
        CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
        pirn_stream_release(stream);
    }
    return 0;
}

START_TEST(no_end_returns_before_the_peer_is_told)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, end_takes_its_time, NULL));
}
END_TEST

/* ---- A transport's last word ----------------------------------------------------------------- */

struct recorder {
    char calls[8]; /* w, f, c: in the order in which they came */
    int answer;    /* of finish */
};

static ssize_t recorder_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)n, (void)deadline;
    return 0;
}

static ssize_t recorder_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    (void)buf, (void)deadline;
    strcat(((struct recorder *)self)->calls, "w");
    return (ssize_t)n;
}

static int recorder_finish(void *self, pirn_time deadline)
{
    struct recorder *r = self;
    CHECK_EQ(deadline.ns, PIRN_NEVER.ns);
    strcat(r->calls, "f");
    return r->answer;
}

static int recorder_close(void *self)
{
    strcat(((struct recorder *)self)->calls, "c");
    return 0;
}

static const pirn_transport recorder_ops = {
    .size = sizeof(recorder_ops),
    .read = recorder_read,
    .write = recorder_write,
    .close = recorder_close,
    .finish = recorder_finish,
};

static int finish(void *arg)
{
    (void)arg;
    for (int how = 0; how < 3; how++) {
        struct recorder r = {.answer = how == 1 ? -ETIMEDOUT : 0};
        pirn_transport other = recorder_ops;
        pirn_stream *stream;
        CHECK_OK(pirn_stream_over(&stream, &recorder_ops, &r, NULL));
        CHECK(pirn_stream_self(stream, &recorder_ops) == &r);
        CHECK(pirn_stream_self(stream, &other) == NULL);
        CHECK(pirn_stream_self(NULL, &other) == NULL);
        if (how < 2) {
            CHECK_EQ(pirn_stream_write(stream, "x", 1), 1);
            CHECK_EQ(pirn_stream_close(stream, PIRN_NEVER), r.answer);
            CHECK(strcmp(r.calls, "wfc") == 0);
        } else {
            CHECK_OK(pirn_stream_abort(stream));
            CHECK(strcmp(r.calls, "c") == 0);
        }
        CHECK_OK(pirn_stream_close(stream, PIRN_NEVER)); /* again, and nothing happens */
        pirn_stream_release(stream);
    }
    return 0;
}

START_TEST(a_close_has_the_transport_finish_and_an_abort_has_not)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, finish, NULL));
}
END_TEST

/* Whose writes, or whose finish, wait until it is closed. */
struct stuck {
    pirn_stream *stream;
    bool in_write;
    atomic_int inside, closes;
    pirn_event closed;
};

static int stuck_wait(struct stuck *s)
{
    atomic_fetch_add(&s->inside, 1);
    int rc = pirn_event_wait(&s->closed, PIRN_NEVER);
    return rc == 0 ? -EBADF : rc;
}

static ssize_t stuck_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    struct stuck *s = self;
    (void)buf, (void)deadline;
    return s->in_write ? stuck_wait(s) : (ssize_t)n;
}

static int stuck_finish(void *self, pirn_time deadline)
{
    (void)deadline;
    return stuck_wait(self);
}

static int stuck_close(void *self)
{
    struct stuck *s = self;
    atomic_fetch_add(&s->closes, 1);
    for (int i = 0; i < 3; i++)
        pirn_yield(); /* others who close wait for it */
    pirn_event_set(&s->closed);
    return 0;
}

static const pirn_transport stuck_ops = {
    .size = sizeof(stuck_ops),
    .read = recorder_read,
    .write = stuck_write,
    .close = stuck_close,
    .finish = stuck_finish,
};

static int write_and_close(void *stream)
{
    CHECK_EQ(pirn_stream_write(stream, "x", 1), 1);
    return pirn_stream_close(stream, PIRN_NEVER);
}

static int abort_it(void *stream)
{
    return pirn_stream_abort(stream);
}

/* in_write: no task can be made that would send, so who closes does it. */
static int abort_beside_close(void *arg)
{
    struct stuck s = {.in_write = *(bool *)arg};
    CHECK_OK(pirn_stream_over(&s.stream, &stuck_ops, &s, NULL));
    pirn_task *closing = support_spawn(write_and_close, s.stream);
    support_until(&s.inside, 1);
    pirn_task *other = s.in_write ? NULL : support_spawn(abort_it, s.stream);
    CHECK_OK(pirn_stream_abort(s.stream));
    CHECK(pirn_event_is_set(&s.closed));
    CHECK_EQ(support_join(closing), -EBADF);
    if (other != NULL)
        CHECK_OK(support_join(other));
    CHECK_EQ(atomic_load(&s.closes), 1);
    pirn_stream_release(s.stream);
    return 0;
}

START_TEST(an_abort_ends_a_close_that_waits_in_the_transport)
{
    FOR_WORKERS(w)
    for (int in_write = 0; in_write < 2; in_write++) {
        bool arg = in_write;
        atomic_store(&no_sender, in_write);
        for (int i = 0; i < support_rounds(20); i++)
            CHECK_OK(support_run(w, abort_beside_close, &arg));
        CHECK((atomic_exchange(&refused_senders, 0) > 0) == in_write);
        atomic_store(&no_sender, false);
    }
}
END_TEST

/* ---- A pipe that is read has no end to tell of: it goes on ---------------------------------- */

static int end_reader(void *arg)
{
    pirn_stream *in;
    const char *line;
    int ends[2];
    (void)arg;
    support_pipe(ends);
    CHECK_OK(pirn_stream_new(&in, ends[0], NULL));
    CHECK_EQ(pirn_write(ends[1], "one\ntwo\n", 8, PIRN_NEVER), 8);
    CHECK_EQ(pirn_stream_read_line(in, &line, PIRN_NEVER), 4);
    CHECK_EQ(pirn_stream_end(in, PIRN_NEVER), -EOPNOTSUPP);
    CHECK_EQ(pirn_stream_fd(in), ends[0]);
    CHECK_EQ(pirn_write(ends[1], "three\n", 6, PIRN_NEVER), 6);
    CHECK_EQ(pirn_stream_read_line(in, &line, PIRN_NEVER), 4);
    CHECK_EQ(pirn_stream_read_line(in, &line, PIRN_NEVER), 6);
    CHECK_OK(pirn_close(ends[1]));
    CHECK_EQ(pirn_stream_read_line(in, &line, PIRN_NEVER), 0);
    CHECK_OK(pirn_stream_close(in, PIRN_NEVER));
    pirn_stream_release(in);
    return 0;
}

START_TEST(an_end_of_a_pipe_that_is_read)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, end_reader, NULL));
}
END_TEST

SUPPORT_MAIN("net/stream_finish", a_flush_waits_until_all_is_sent,
             an_end_that_is_given_up_leaves_the_other_one, no_end_returns_before_the_peer_is_told,
             a_close_has_the_transport_finish_and_an_abort_has_not,
             an_abort_ends_a_close_that_waits_in_the_transport, an_end_of_a_pipe_that_is_read)
