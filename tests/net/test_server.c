/*
 * Servers: handlers side by side, what becomes of one that fails, where they listen, what they
 * refuse.
 */
#include "tests/net/server.h"

#include <sys/stat.h>

/* ---- S131, S132: handlers side by side ------------------------------------------------------- */

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

/* ---- A163, S136: a handler's end ------------------------------------------------------------- */

static void expect_end(pirn_stream *stream)
{
    char c;
    CHECK_EQ(pirn_stream_read(stream, &c, 1, PIRN_NEVER), 0);
}

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

/* Whose peer has no address: it is reported all the same as what it is. */
static int handler_of_nobody(void *arg)
{
    char buf[16];
    pirn_server *server;
    pirn_stream *stream;
    (void)arg;
    snprintf(buf, sizeof(buf), "@pirn-%d", getpid());
    CHECK_OK(pirn_server_new(&server, last_words, NULL, NULL));
    CHECK_OK(pirn_server_listen_unix(server, buf, NULL, PIRN_NEVER));
    CHECK_OK(pirn_stream_connect_unix(&stream, buf, NULL, PIRN_NEVER));
    CHECK_EQ(pirn_stream_write(stream, "fail\n", 5), 5);
    CHECK_EQ(pirn_stream_read_exactly(stream, buf, 10, NULL, PIRN_NEVER), 10);
    expect_end(stream);
    hang_up(stream);
    stop_and_release(server);
    return 0;
}

static int reports_of(const char *what, int w, const char *word)
{
    support_report report = SUPPORT_REPORT_INIT;
    CHECK_OK(support_run_reported(w, &report, one_handler, (void *)(uintptr_t)what));
    return support_reported(&report, word);
}

START_TEST(a163_s136_last_words_arrive_and_failures_are_reported_once)
{
    FOR_WORKERS(w)
    {
        CHECK_EQ(reports_of("return\n", w, "127.0.0.1"), 0);
        CHECK_EQ(reports_of("fail\n", w, "127.0.0.1"), 2); /* two connections */
        CHECK_EQ(reports_of("cancel\n", w, "127.0.0.1"), 0);
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, handler_of_nobody, NULL));
        CHECK_EQ(support_reported(&report, "task connection"), 1);
    }
}
END_TEST

/* ---- A reply beside what nobody reads -------------------------------------------------------- */

enum {
    REPLY = 4 << 20,
    UNREAD = 6 << 20 /* more than the kernel holds of both */
};

static int reply_to_a_line(pirn_stream *stream, void *user)
{
    const char *line;
    CHECK_GE(pirn_stream_read_line(stream, &line, PIRN_NEVER), 1);
    CHECK_EQ(pirn_stream_write(stream, user, REPLY), REPLY);
    return 0;
}

/* Its peer says more than is read, before it reads anything: all of the reply arrives, and the
 * end. */
static int says_too_much(void *arg)
{
    char *words = calloc(1, UNREAD), *reply = calloc(1, REPLY);
    (void)arg;
    CHECK(words != NULL && reply != NULL);
    words[0] = '\n';
    for (int i = 0; i < REPLY; i++)
        reply[i] = (char)(i * 31 >> 3);
    pirn_server *server = new_server(reply_to_a_line, reply, NULL);
    for (size_t said = 2; said <= UNREAD; said = said == 2 ? 300000 : said * 20) {
        pirn_stream *stream = connect_to(server);
        char *got = calloc(1, REPLY);
        CHECK(got != NULL);
        CHECK_EQ(pirn_stream_write(stream, words, said), said);
        CHECK_OK(pirn_stream_flush(stream, PIRN_NEVER));
        CHECK_EQ(pirn_stream_read_exactly(stream, got, REPLY, NULL, PIRN_NEVER), REPLY);
        CHECK(memcmp(got, reply, REPLY) == 0);
        expect_end(stream);
        hang_up(stream);
        free(got);
    }
    stop_and_release(server);
    free(words);
    free(reply);
    return 0;
}

START_TEST(a_reply_arrives_whole_whatever_is_left_unread)
{
    FOR_WORKERS(w)
    {
        support_report report = SUPPORT_REPORT_INIT;
        CHECK_OK(support_run_reported(w, &report, says_too_much, NULL));
        CHECK_EQ(support_reported(&report, "127.0.0.1"), 0);
    }
}
END_TEST

/* ---- A peer that goes, and others that do ---------------------------------------------------- */

/* Reads until its peer has gone; or says so of another, while its own is there. */
static int hears_of_it(pirn_stream *stream, void *user)
{
    char buf[16];
    ssize_t n;
    CHECK_EQ(pirn_stream_write(stream, "go on", 5), 5);
    while ((n = pirn_stream_read(stream, buf, sizeof(buf), PIRN_NEVER)) > 0)
        if (buf[0] == 'o') /* of another one's */
            return -ECONNRESET;
    atomic_store((atomic_int *)user, (int)n);
    return (int)n;
}

static int comes_and_goes(void *arg)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    bool other = *(bool *)arg;
    atomic_int heard = 1;
    char buf[5];
    pirn_server *server = new_server(hears_of_it, &heard, NULL);
    pirn_address address = {.len = sizeof(address.addr)};
    CHECK_OK(pirn_server_address(server, 0, &address));
    int fd = support_socket();
    CHECK_OK(pirn_connect(fd, &address.addr.any, address.len, PIRN_NEVER));
    CHECK_EQ(pirn_recv(fd, buf, 5, MSG_WAITALL, PIRN_NEVER), 5);
    if (other) {
        CHECK_EQ(pirn_send(fd, "o", 1, 0, PIRN_NEVER), 1);
        CHECK_EQ(pirn_recv(fd, buf, 5, 0, PIRN_NEVER), 0);
    } else {
        CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
    }
    CHECK_OK(pirn_close(fd));
    while (pirn_server_connections(server) != 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_EQ(atomic_load(&heard), other ? 1 : -ECONNRESET);
    stop_and_release(server);
    return 0;
}

START_TEST(a_peer_that_has_gone_is_no_failure_another_one_is)
{
    FOR_WORKERS(w)
    {
        for (int other = 0; other < 2; other++) {
            support_report report = SUPPORT_REPORT_INIT;
            CHECK_OK(support_run_reported(w, &report, comes_and_goes, &(bool){other}));
            CHECK_EQ(support_reported(&report, "127.0.0.1"), other);
        }
    }
}
END_TEST

/* ---- A165: ports and paths ------------------------------------------------------------------- */

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

/* ---- Misuse ---------------------------------------------------------------------------------- */

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

START_TEST(misuse)
{
    pirn_server *server;
    CHECK_EQ(pirn_server_new(&server, echo, NULL, NULL), -EPERM);
    CHECK_OK(support_run(1, wrong, NULL));
    CHECK_OK(support_run(1, unsound, NULL));
}
END_TEST

SUPPORT_MAIN("server", s131_a_hundred_clients_at_once,
             a163_s136_last_words_arrive_and_failures_are_reported_once,
             a_reply_arrives_whole_whatever_is_left_unread,
             a_peer_that_has_gone_is_no_failure_another_one_is, a165_ports_and_paths, misuse)
