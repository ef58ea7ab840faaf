/*
 * What streams stand on: terminals, standard input, a child's pipes (S157); who may call; what an
 * idle one costs.
 */
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/net/stream.h"

/* ---- A terminal is written without blocking a worker, and reads lines as they are typed ------ */

static int write_terminal(void *arg)
{
    enum {
        MUCH = 60000
    };
    int pair[2];
    pirn_stream *s;
    char *data = pattern(MUCH), *buf = malloc(MUCH);
    size_t got = 0;
    (void)arg;
    open_pty(pair);
    CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
    CHECK_EQ(pirn_stream_write(s, data, MUCH), MUCH); /* more than it takes, and nobody reads yet */
    CHECK_EQ(pirn_stream_close(s, PIRN_NOW), -ETIMEDOUT);
    pirn_stream_release(s);
    close(pair[1]);
    open_pty(pair);
    CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
    CHECK_EQ(pirn_stream_write(s, data, MUCH), MUCH);
    while (got < MUCH) {
        ssize_t n = pirn_read(pair[1], buf + got, MUCH - got, PIRN_NEVER);
        CHECK_GE(n, 1);
        got += (size_t)n;
    }
    CHECK_OK(memcmp(data, buf, MUCH));
    CHECK_EQ(pirn_stream_end(s, PIRN_NEVER), -EOPNOTSUPP);
    CHECK_EQ(pirn_stream_write(s, "x", 1), 1);
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    CHECK_OK(close(pair[1]));
    free(data);
    free(buf);
    return 0;
}

START_TEST(s157_a_terminal_takes_its_time)
{
    if (kinds() != KINDS)
        return;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, write_terminal, NULL));
}
END_TEST

/* ---- A pipe's bytes go one by one: drain need not wait for the last -------------------------- */

static int drains_pipe(void *arg)
{
    enum {
        MARK = 512 * 1024,
        ALL = 2 * MARK
    };
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    char *data = pattern(ALL), *back = malloc(ALL);
    pirn_stream *s;
    int ends[2];
    (void)arg;
    CHECK(back);
    support_pipe(ends);
    config.high = config.low = MARK;
    CHECK_OK(pirn_stream_new(&s, ends[1], &config));
    CHECK_EQ(pirn_stream_write(s, data, ALL), ALL);
    CHECK_EQ(pirn_stream_drain(s, PIRN_NOW), -ETIMEDOUT);
    for (size_t got = 0; got < MARK;) {
        ssize_t n = pirn_read(ends[0], back + got, MARK - got, PIRN_NEVER);
        CHECK_GE(n, 1);
        got += (size_t)n;
    }
    CHECK_OK(pirn_stream_drain(s, pirn_after_s(20))); /* half of it is still to be read */
    CHECK_LE(pirn_stream_pending(s), MARK);
    CHECK_GE(pirn_stream_pending(s), 1);
    CHECK_OK(memcmp(data, back, MARK));
    CHECK_OK(pirn_stream_abort(s));
    pirn_stream_release(s);
    CHECK_OK(close(ends[0]));
    free(data);
    free(back);
    return 0;
}

START_TEST(a161_a_pipe_is_drained_to_the_low_mark)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, drains_pipe, NULL));
}
END_TEST

/* ---- Standard input -------------------------------------------------------------------------- */

static int read_standard_input(void *arg)
{
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    pirn_stream *s;
    const char *line;
    int input[2], saved = dup(STDIN_FILENO);
    (void)arg;
    support_pipe(input);
    CHECK_EQ(dup2(input[0], STDIN_FILENO), STDIN_FILENO);
    CHECK_OK(close(input[0]));
    config.flags = PIRN_STREAM_KEEP_FD;
    CHECK_OK(pirn_stream_new(&s, STDIN_FILENO, &config));
    CHECK_EQ(pirn_stream_read_line(s, &line, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_EQ(support_write(input[1], "typed\nmo", 8), 8);
    CHECK_EQ(pirn_stream_read_line(s, &line, PIRN_NEVER), 6);
    CHECK_OK(memcmp(line, "typed\n", 6));
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    CHECK_GE(fcntl(STDIN_FILENO, F_GETFD), 0);              /* it has been left open, */
    CHECK_EQ(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, 0); /* and as it was */
    CHECK_OK(pirn_stream_new(&s, STDIN_FILENO, &config));
    pirn_stream_release(s);
    CHECK_GE(fcntl(STDIN_FILENO, F_GETFD), 0);
    CHECK_OK(close(input[1]));
    CHECK_EQ(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    CHECK_OK(close(saved));
    return 0;
}

START_TEST(s157_standard_input_is_left_open)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, read_standard_input, NULL));
}
END_TEST

/* ---- A descriptor that stays open: others use it on ------------------------------------------ */

static int polls(void *arg)
{
    return pirn_poll(*(int *)arg, POLLIN, PIRN_NEVER);
}

static int reads(void *arg)
{
    char c;
    return (int)pirn_stream_read(arg, &c, 1, PIRN_NEVER);
}

static int drains(void *arg)
{
    return pirn_stream_drain(arg, PIRN_NEVER);
}

static int left_to_others(void *arg)
{
    static const char much[1 << 20];
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    pirn_stream *s, *other;
    int pair[2];
    (void)arg;
    support_pair(pair);
    config.flags = PIRN_STREAM_KEEP_FD;
    CHECK_OK(pirn_stream_new(&s, pair[0], &config));
    CHECK_OK(pirn_stream_new(&other, pair[0], &config));
    pirn_task *reader = support_spawn(reads, s), *poller = support_spawn(polls, &pair[0]);
    CHECK_EQ(pirn_stream_write(other, much, sizeof(much)), sizeof(much));
    pirn_task *drainer = support_spawn(drains, other);
    support_until_waiting(reader);
    support_until_waiting(poller);
    support_until_waiting(drainer);
    CHECK_OK(pirn_stream_abort(s));
    CHECK_EQ(support_join(reader), -EBADF);
    CHECK_EQ(support_write(pair[1], "x", 1), 1);
    CHECK_EQ(support_join(poller), POLLIN);
    for (size_t got = 0; got < sizeof(much);) {
        char buf[4096];
        ssize_t n = pirn_read(pair[1], buf, sizeof(buf), PIRN_NEVER);
        CHECK_GE(n, 1);
        got += (size_t)n;
    }
    CHECK_OK(support_join(drainer));
    CHECK_OK(pirn_stream_close(other, PIRN_NEVER));
    pirn_stream_release(s);
    pirn_stream_release(other);
    CHECK_OK(close(pair[0]) | close(pair[1]));
    return 0;
}

START_TEST(a162_a_descriptor_that_stays_open_is_left_to_others)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, left_to_others, NULL));
}
END_TEST

/* ---- A child's lines while it runs ----------------------------------------------------------- */

static void start_child(pid_t *ret_pid, int in, int out)
{
    char *const argv[] = {"sh", "-c", "echo ready; while read x; do echo got $x; done; printf end",
                          NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    CHECK_OK(posix_spawn_file_actions_init(&actions));
    CHECK_OK(posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO));
    CHECK_OK(posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO));
    support_blocking_begin();
    CHECK_OK(posix_spawn(ret_pid, "/bin/sh", &actions, NULL, argv, environment));
    support_blocking_end();
    CHECK_OK(posix_spawn_file_actions_destroy(&actions));
}

static void expect_line(pirn_stream *s, const char *expected)
{
    const char *line;
    CHECK_EQ(pirn_stream_read_line(s, &line, PIRN_NEVER), strlen(expected));
    CHECK_OK(memcmp(line, expected, strlen(expected)));
}

static int talk_to_child(void *arg)
{
    pirn_stream *in, *out;
    int to[2], from[2], status;
    pid_t pid;
    (void)arg;
    support_pipe(to);
    support_pipe(from);
    start_child(&pid, to[0], from[1]);
    CHECK_OK(close(to[0]));
    CHECK_OK(close(from[1]));
    CHECK_OK(pirn_stream_new(&in, to[1], NULL));
    CHECK_OK(pirn_stream_new(&out, from[0], NULL));
    expect_line(out, "ready\n");
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pirn_stream_write(in, "a line\n", 7), 7);
        expect_line(out, "got a line\n");
    }
    CHECK_OK(pirn_stream_end(in, PIRN_NEVER));
    expect_line(out, "end");
    expect_line(out, "");
    CHECK_OK(pirn_stream_close(in, PIRN_NEVER));
    CHECK_OK(pirn_stream_close(out, PIRN_NEVER));
    pirn_stream_release(in);
    pirn_stream_release(out);
    support_blocking_begin();
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    support_blocking_end();
    CHECK_OK(status);
    return 0;
}

START_TEST(s157_a_childs_lines_while_it_runs)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, talk_to_child, NULL));
}
END_TEST

/* ---- Who may call, and with what ------------------------------------------------------------- */

static int talk_pinned(void *arg)
{
    pirn_stream *s = arg;
    char c;
    CHECK_EQ(pirn_stream_write(s, "p", 1), 1);
    CHECK_OK(pirn_stream_drain(s, PIRN_NEVER));
    return pirn_stream_read(s, &c, 1, PIRN_NEVER) == 1 ? c : -EIO;
}

static int pinned(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_stream *s = arg;
    pirn_task *task;
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&task, &config, talk_pinned, s));
    CHECK_EQ(support_join(task), 'q');
    return pirn_stream_close(s, PIRN_NEVER);
}

START_TEST(a162_who_may_call)
{
    pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
    pirn_transport none = {.size = sizeof(none)};
    pirn_stream *s;
    const char *view;
    char c;
    int pair[2], closed[2];
    support_pair(pair);
    support_pipe(closed);
    CHECK_OK(close(closed[0]));
    CHECK_OK(close(closed[1]));
    CHECK_EQ(pirn_stream_new(NULL, pair[0], NULL), -EINVAL);
    CHECK_EQ(pirn_stream_new(&s, -1, NULL), -EBADF);
    CHECK_EQ(pirn_stream_new(&s, closed[0], NULL), -EBADF);
    CHECK_EQ(pirn_stream_over(&s, &none, NULL, NULL), -EINVAL);
    config.low = 100;
    config.high = 10;
    CHECK_EQ(pirn_stream_new(&s, pair[0], &config), -EINVAL);
    config.size--;
    CHECK_EQ(pirn_stream_new(&s, pair[0], &config), -EINVAL);
    CHECK_OK(pirn_stream_new(&s, pair[0], NULL)); /* on a plain thread, but not used there */
    CHECK_EQ(pirn_stream_read(s, &c, 1, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_stream_peek(s, &view, 0, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_stream_write(s, &c, 1), -EPERM);
    CHECK_EQ(pirn_stream_drain(s, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_stream_end(s, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_stream_close(s, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_stream_abort(s), -EPERM);
    support_send_all(pair[1], "q", 1);
    CHECK_OK(support_run(2, pinned, s));
    CHECK_EQ(read(pair[1], &c, 1), 1);
    CHECK_EQ(c, 'p');
    CHECK_OK(read(pair[1], &c, 1));
    pirn_stream_release(s);
    CHECK_OK(close(pair[1]));
}
END_TEST

/* ---- What an idle connection costs ----------------------------------------------------------- */

enum {
    IDLE = 3000
};

static int wait_for_line(void *arg)
{
    const char *line;
    char *block = malloc(100000);
    pirn_stream *s = arg;
    /* It has been busy before. */
    CHECK_EQ(pirn_stream_read_exactly(s, block, 5000, NULL, PIRN_NEVER), 5000);
    CHECK_EQ(pirn_stream_read_line(s, &line, PIRN_NEVER), 20001);
    free(block);
    CHECK_EQ(pirn_stream_read_line(s, &line, PIRN_NEVER), 0);
    CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
    pirn_stream_release(s);
    return 0;
}

static int idle(void *arg)
{
    static int peers[IDLE];
    static pirn_task *tasks[IDLE];
    static char busy[25001];
    long before = 0;
    (void)arg;
    memset(busy, 'x', sizeof(busy));
    busy[25000] = '\n';
    for (int i = 0; i < IDLE; i++) {
        pirn_stream *s;
        int pair[2];
        if (i == 1000) /* what malloc and the pools take in advance is taken */
            before = support_resident();
        support_pair(pair);
        CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
        tasks[i] = support_spawn(wait_for_line, s);
        peers[i] = pair[1];
        CHECK_EQ(pirn_send(pair[1], busy, sizeof(busy), 0, PIRN_NEVER), sizeof(busy));
        support_until_waiting(tasks[i]);
        while (pirn_poll(pair[0], POLLIN, PIRN_NOW) > 0)
            CHECK_OK(pirn_yield());
    }
    long each = (support_resident() - before) / (IDLE - 1000);
    if (!support_slow())
        CHECK_LE(each, 6 * 1024);
    printf("an idle connection has %ld bytes\n", each);
    for (int i = 0; i < IDLE; i++) {
        CHECK_OK(close(peers[i]));
        CHECK_OK(support_join(tasks[i]));
    }
    return 0;
}

START_TEST(a161_an_idle_connection_is_small)
{
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_cur < 2 * IDLE + 100) {
        printf("too few descriptors\n");
        return;
    }
    CHECK_OK(support_run(1, idle, NULL));
}
END_TEST

SUPPORT_MAIN("net/stream_kinds", s157_a_terminal_takes_its_time,
             a161_a_pipe_is_drained_to_the_low_mark, s157_standard_input_is_left_open,
             a162_a_descriptor_that_stays_open_is_left_to_others, s157_a_childs_lines_while_it_runs,
             a162_who_may_call, a161_an_idle_connection_is_small)
