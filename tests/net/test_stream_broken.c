/* wraps pirn_task_spawn */
/*
 * A connection that breaks: the kernel tells that once. Whoever reads the stream hears of it, and
 * not of an end, also if somebody who writes was told first.
 */
#include "tests/net/stream.h"

#include "tests/net/no_sender.h"

#include <linux/filter.h>
#include <netinet/tcp.h>
#include <poll.h>

enum {
    BUFFER = 64 * 1024, /* a socket's */
    MUCH = 1024 * 1024, /* more than the kernel takes for a peer that does not read */
    HALF = 4
};

/* A stream with much that waits to be sent, and from whose peer four bytes have come. */
static pirn_stream *open_half(bool unix_socket, int *ret_peer)
{
    struct ends e = ends_open(unix_socket ? UNIX_SOCKET : TCP_SOCKET, NULL);
    char *much = calloc(1, MUCH), buf[HALF];
    int room = BUFFER;
    CHECK(much);
    CHECK_OK(setsockopt(pirn_stream_fd(e.stream), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
    CHECK_OK(setsockopt(e.peer, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)));
    ends_send(&e, "half", HALF);
    CHECK_EQ(pirn_stream_write(e.stream, much, MUCH), MUCH);
    CHECK_EQ(pirn_stream_read_exactly(e.stream, buf, HALF, NULL, PIRN_NEVER), HALF);
    CHECK(pirn_stream_pending(e.stream) > 0);
    free(much);
    *ret_peer = e.peer;
    return e.stream;
}

/* A Unix socket does so by itself: its peer's bytes have not been read. */
static void reset(int peer)
{
    const struct linger now = {1, 0};
    CHECK_OK(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
    CHECK_OK(close(peer));
}

static int until_write_fails(pirn_stream *s)
{
    ssize_t n;
    while ((n = pirn_stream_write(s, "x", 1)) >= 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    return (int)n;
}

/* Every read, whatever its size, with and without a deadline. */
static void check_reads(pirn_stream *s, ssize_t rc)
{
    static char large[8192];
    const char *view;
    char c;
    for (int i = 0; i < 2; i++) {
        pirn_time until = i == 0 ? PIRN_NEVER : pirn_after_s(1000);
        CHECK_EQ(pirn_stream_read(s, &c, 1, until), rc);
        CHECK_EQ(pirn_stream_read(s, large, sizeof(large), until), rc);
        CHECK_EQ(pirn_stream_read_line(s, &view, until), rc);
        CHECK_EQ(pirn_stream_at_end(s), rc == 0);
    }
}

static void end_stream(pirn_stream *s)
{
    CHECK_OK(pirn_stream_abort(s));
    pirn_stream_release(s);
}

/* ---- A reset --------------------------------------------------------------------------------- */

static int write_is_told(void *arg)
{
    for (int unix_socket = 0; unix_socket < 2; unix_socket++) {
        int peer;
        pirn_stream *s = open_half(unix_socket != 0, &peer);
        (void)arg;
        reset(peer);
        int rc = until_write_fails(s);
        CHECK(rc == -ECONNRESET ||
              (unix_socket && rc == -EPIPE)); /* which leaves the reset there */
        check_reads(s, -ECONNRESET);
        end_stream(s);
    }
    return 0;
}

START_TEST(a_reset_that_a_write_was_told_of_is_no_end)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, write_is_told, NULL));
}
END_TEST

static int end_is_told(void *arg)
{
    int peer;
    pirn_stream *s = open_half(false, &peer);
    (void)arg;
    reset(peer);
    int rc = pirn_stream_end(s, PIRN_NEVER);
    CHECK(rc == -EPIPE || rc == -ECONNRESET);
    end_stream(s);
    return 0;
}

START_TEST(an_end_after_a_reset_says_so)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, end_is_told, NULL));
}
END_TEST

static int read_to_end(void *arg)
{
    char buf[100];
    ssize_t n;
    while ((n = pirn_stream_read(arg, buf, sizeof(buf), PIRN_NEVER)) > 0) {}
    return (int)n;
}

/* One waits to read and one to write: either may be told. */
static int both_wait(void *arg)
{
    for (int i = 0; i < support_rounds(40); i++) {
        int peer;
        pirn_stream *s = open_half(i % 2 != 0, &peer);
        pirn_task *reader = support_spawn(read_to_end, s);
        (void)arg;
        if (i % 4 < 2)
            support_until_waiting(reader);
        reset(peer);
        CHECK_EQ(support_join(reader), -ECONNRESET);
        end_stream(s);
    }
    return 0;
}

START_TEST(a_reset_while_one_reads_and_one_writes)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, both_wait, NULL));
}
END_TEST

/* ---- A peer that answers no more ------------------------------------------------------------- */

static void set_short_patience(int fd)
{
    int ms = 100;
    CHECK_OK(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)));
}

/* The peer's kernel drops all that comes: nothing is acknowledged. False: that is not permitted. */
static bool fall_silent(int peer)
{
    struct sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
    struct sock_fprog program = {1, nothing};
    if (setsockopt(peer, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0)
        return true;
    CHECK_EQ(errno, EPERM);
    return false;
}

/* Who asks without waiting is told, too: once the kernel has said it, it would be an end. */
static void look_at_given_up(pirn_stream *s, bool at_much)
{
    static char large[8192];
    char c;
    CHECK_GE(pirn_poll(pirn_stream_fd(s), POLLIN, PIRN_NEVER), 1);
    if (at_much)
        CHECK_EQ(pirn_stream_read(s, large, sizeof(large), pirn_now()), -ECONNABORTED);
    else
        CHECK_EQ(pirn_stream_read(s, &c, 1, PIRN_NOW), -ECONNABORTED);
}

static int given_up(void *arg)
{
    for (int writes = 0; writes < 4; writes++) {
        struct ends e = ends_open(TCP_SOCKET, NULL);
        (void)arg;
        set_short_patience(pirn_stream_fd(e.stream));
        bool silent = fall_silent(e.peer);
        CHECK_EQ(pirn_stream_write(e.stream, "hello", 5), 5);
        if (silent && writes > 1)
            look_at_given_up(e.stream, writes == 3);
        if (silent && writes == 1)
            CHECK_EQ(until_write_fails(e.stream), -ECONNABORTED);
        if (silent)
            check_reads(e.stream, -ECONNABORTED);
        else
            printf("no socket filters here: silent peers are not tested\n");
        end_stream(e.stream);
        CHECK_OK(close(e.peer));
    }
    return 0;
}

START_TEST(a_connection_that_the_kernel_gives_up_is_no_deadline_and_no_end)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, given_up, NULL));
}
END_TEST

/* Nobody sends in the background (no task can be made), and a drain that does not wait is told. */
static int given_up_by_who_drains(void *arg)
{
    char *much = calloc(1, MUCH);
    struct ends e = ends_open(TCP_SOCKET, NULL);
    int room = BUFFER;
    (void)arg;
    CHECK(much);
    CHECK_OK(setsockopt(pirn_stream_fd(e.stream), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
    set_short_patience(pirn_stream_fd(e.stream));
    if (fall_silent(e.peer)) {
        CHECK_EQ(pirn_stream_write(e.stream, much, MUCH), MUCH);
        CHECK(pirn_stream_pending(e.stream) > 0);
        CHECK_GE(pirn_poll(pirn_stream_fd(e.stream), POLLIN, PIRN_NEVER), 1);
        CHECK_EQ(pirn_stream_drain(e.stream, PIRN_NOW), -ECONNABORTED);
        check_reads(e.stream, -ECONNABORTED);
    }
    end_stream(e.stream);
    CHECK_OK(close(e.peer));
    free(much);
    return 0;
}

START_TEST(a_drain_that_does_not_wait_is_told_as_well)
{
    atomic_store(&no_sender, true);
    FOR_WORKERS(w) CHECK_OK(support_run(w, given_up_by_who_drains, NULL));
    atomic_store(&no_sender, false);
}
END_TEST

/* ---- What is an end -------------------------------------------------------------------------- */

/* The peer has said its last and still takes what comes; then it has enough of that. */
static int ends(void *arg)
{
    for (int unix_socket = 0; unix_socket < 2; unix_socket++) {
        for (int early = 0; early < 2; early++) {
            int peer;
            pirn_stream *s = open_half(unix_socket != 0, &peer);
            (void)arg;
            CHECK_OK(shutdown(peer, SHUT_WR));
            if (early != 0 || unix_socket != 0)
                check_reads(s, 0);
            reset(peer);
            int rc = until_write_fails(s);
            CHECK(rc == -EPIPE || rc == -ECONNRESET);
            check_reads(s, 0);
            end_stream(s);
        }
    }
    return 0;
}

START_TEST(an_end_that_was_said_is_one_whatever_writes_are_told)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, ends, NULL));
}
END_TEST

SUPPORT_MAIN("net_stream_broken", a_reset_that_a_write_was_told_of_is_no_end,
             an_end_after_a_reset_says_so, a_reset_while_one_reads_and_one_writes,
             a_connection_that_the_kernel_gives_up_is_no_deadline_and_no_end,
             a_drain_that_does_not_wait_is_told_as_well,
             an_end_that_was_said_is_one_whatever_writes_are_told)
