/*
 * The openssl command as the peer: s_server for pirn's client, s_client for pirn's server, on
 * loopback.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "tests/tls/tls.h"

extern char **environ;

/* ---- The command ----------------------------------------------------------------------------- */

struct tool {
    pid_t pid;
    int in, out; /* pipes to it and from it */
    size_t used;
    char text[65536]; /* what it has said */
};

static struct tool *tool_start(const char *const *args)
{
    posix_spawn_file_actions_t actions;
    struct tool *tool = calloc(1, sizeof(*tool));
    int in[2], out[2];
    CHECK(tool);
    CHECK_OK(pipe2(in, O_CLOEXEC));
    CHECK_OK(pipe2(out, O_CLOEXEC));
    CHECK_OK(posix_spawn_file_actions_init(&actions));
    CHECK_OK(posix_spawn_file_actions_adddup2(&actions, in[0], 0));
    CHECK_OK(posix_spawn_file_actions_adddup2(&actions, out[1], 1));
    CHECK_OK(posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0));
    CHECK_OK(
        posix_spawnp(&tool->pid, "openssl", &actions, NULL, (char **)(uintptr_t)args, environ));
    CHECK_OK(posix_spawn_file_actions_destroy(&actions));
    CHECK_OK(close(in[0]));
    CHECK_OK(close(out[1]));
    tool->in = in[1];
    tool->out = out[0];
    return tool;
}

/* And waits until it has been read: of several commands read at once only the first is obeyed. */
static void tool_type(struct tool *tool, const char *text)
{
    int left;
    CHECK_EQ(pirn_write(tool->in, text, strlen(text), PIRN_NEVER), strlen(text));
    do {
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        CHECK_OK(ioctl(tool->in, FIONREAD, &left));
    } while (left != 0);
}

static void tool_says_more(struct tool *tool)
{
    CHECK_LE(tool->used + 2, sizeof(tool->text));
    ssize_t n = pirn_read(tool->out, tool->text + tool->used, sizeof(tool->text) - 1 - tool->used,
                          PIRN_NEVER);
    if (n <= 0)
        fprintf(stderr, "openssl has said %s\n", tool->text);
    CHECK_GE(n, 1);
    tool->used += (size_t)n;
}

/* Reads on until it has said this: what comes after it. */
static const char *tool_says(struct tool *tool, const char *text)
{
    const char *at;
    while ((at = strstr(tool->text, text)) == NULL)
        tool_says_more(tool);
    return at + strlen(text);
}

/* Reads on to its end: how many bytes it has said in all of this character. */
static size_t tool_count(struct tool *tool, char c)
{
    size_t count = 0;
    ssize_t n = (ssize_t)tool->used;
    do {
        for (ssize_t i = 0; i < n; i++)
            count += tool->text[i] == c;
        n = pirn_read(tool->out, tool->text, sizeof(tool->text) - 1, PIRN_NEVER);
    } while (n > 0);
    CHECK_OK(n);
    return count;
}

/* It ends by itself, or is ended: its exit status, or minus the signal. */
static int tool_wait(struct tool *tool, bool kill_it)
{
    int status;
    if (kill_it)
        kill(tool->pid, SIGKILL);
    CHECK_EQ(waitpid(tool->pid, &status, 0), tool->pid);
    CHECK_OK(close(tool->in));
    CHECK_OK(close(tool->out));
    free(tool);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- s_server -------------------------------------------------------------------------------- */

static const char *version_flag(int version)
{
    return version == 2 ? "-tls1_2" : "-tls1_3";
}

static pirn_stream *connect_to(struct tool *tool)
{
    pirn_stream *stream;
    char port[8] = "";
    const char *at = tool_says(tool, "ACCEPT ");
    while (strchr(at, '\n') == NULL)
        tool_says_more(tool);
    CHECK(sscanf(at, "127.0.0.1:%7[0-9]", port) == 1);
    CHECK_OK(pirn_stream_connect(&stream, "127.0.0.1", port, NULL, NULL, PIRN_NEVER));
    return stream;
}

static void line_back(pirn_stream *stream, const char *word, const char *answer)
{
    const char *line;
    CHECK_EQ(pirn_stream_write(stream, word, strlen(word)), strlen(word));
    CHECK_EQ(pirn_stream_read_line(stream, &line, PIRN_NEVER), strlen(answer));
    CHECK(memcmp(line, answer, strlen(answer)) == 0);
}

/* It sends each line back reversed, and ends after CLOSE. */
static void reversed(int version)
{
    const char *args[] = {
        "openssl", "s_server",          "-accept", "127.0.0.1:0", "-cert", cert_path("server"),
        "-key",    cert_path("server"), "-alpn",   "h2",          "-rev",  version_flag(version),
        NULL};
    struct tool *tool = tool_start(args);
    pirn_tls_context *context = client_with("ca", NULL, "http/1.1,h2", 0);
    struct side client = {.below = connect_to(tool), .context = context, .host = "127.0.0.1"};
    char c;
    CHECK_OK(side_shake(&client));
    CHECK(strcmp(pirn_tls_alpn(client.stream), "h2") == 0);
    CHECK(strcmp(pirn_tls_version_name(client.stream), version == 2 ? "TLSv1.2" : "TLSv1.3") == 0);
    line_back(client.stream, "drawer\n", "reward\n");
    line_back(client.stream, "stressed\n", "desserts\n");
    CHECK_EQ(pirn_stream_write(client.stream, "CLOSE\n", 6), 6);
    CHECK_EQ(pirn_stream_read(client.stream, &c, 1, PIRN_NEVER), 0); /* an end that was said */
    side_close(&client);
    pirn_tls_context_release(context);
    tool_wait(tool, true);
}

static int close_stream(void *stream)
{
    return pirn_stream_close(stream, PIRN_NEVER);
}

/* It prints what it gets, and sends what is typed; a line that begins with K changes its keys and
 * asks for ours to be changed, Q ends it. */
static void typed(int version)
{
    enum {
        BULK = 2 * 1000 * 1000
    };
    const char *args[] = {"openssl",
                          "s_server",
                          "-accept",
                          "127.0.0.1:0",
                          "-cert",
                          cert_path("server"),
                          "-key",
                          cert_path("server"),
                          "-naccept",
                          "1",
                          version_flag(version),
                          NULL};
    struct tool *tool = tool_start(args);
    pirn_tls_context *context = client_with("ca", NULL, NULL, 0);
    struct side client = {.below = connect_to(tool), .context = context, .host = "localhost"};
    const char *line;
    CHECK_OK(side_shake(&client));
    for (int i = 0; i < 3; i++) {
        if (version == 3)
            tool_type(tool, "K\n");
        tool_type(tool, "a line\n");
        CHECK_EQ(pirn_stream_read_line(client.stream, &line, PIRN_NEVER), 7);
        CHECK(memcmp(line, "a line\n", 7) == 0);
        CHECK_EQ(pirn_stream_write(client.stream, "answer\n", 7), 7);
        tool_says(tool, "answer\n");
        tool->used = 0;
        memset(tool->text, 0, sizeof(tool->text));
    }
    size_t n = (size_t)support_rounds(BULK);
    char *bulk = malloc(n);
    CHECK(bulk);
    memset(bulk, '~', n);
    CHECK_EQ(pirn_stream_write(client.stream, bulk, n), n);
    free(bulk);
    /* The close waits until all is sent, and openssl has to print it meanwhile. */
    pirn_task *closing = support_spawn(close_stream, client.stream);
    tool->used = 0;
    CHECK_EQ(tool_count(tool, '~'), n);
    CHECK_OK(support_join(closing));
    pirn_stream_release(client.stream);
    pirn_tls_context_release(context);
    CHECK_OK(tool_wait(tool, false));
}

/* Whom the system's authorities vouch for is all that a client trusts by itself. */
static void not_trusted(int version)
{
    const char *args[] = {
        "openssl",           "s_server", "-accept",           "127.0.0.1:0",         "-cert",
        cert_path("server"), "-key",     cert_path("server"), version_flag(version), NULL};
    struct tool *tool = tool_start(args);
    pirn_tls_context *context = client_with(NULL, NULL, NULL, 0);
    struct side client = {.below = connect_to(tool), .context = context, .host = "localhost"};
    CHECK_EQ(side_shake(&client), -EKEYREJECTED);
    pirn_tls_context_release(context);
    tool_wait(tool, true);
}

static int servers(void *arg)
{
    (void)arg;
    for (int version = 2; version <= 3; version++) {
        reversed(version);
        typed(version);
        not_trusted(version);
    }
    return 0;
}

START_TEST(s_server_is_the_peer)
{
    certs();
    FOR_WORKERS(w) CHECK_OK(support_run(w, servers, NULL));
}
END_TEST

/* ---- s_client -------------------------------------------------------------------------------- */

struct listener {
    int fd;
    char address[32], session[96];
    pirn_tls_context *context;
};

static struct side accept_one(struct listener *l)
{
    struct side server = {.context = l->context, .is_server = true};
    int fd = pirn_accept(l->fd, NULL, NULL, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_OK(pirn_stream_new(&server.below, fd, NULL));
    return server;
}

/* What is typed comes back; after the word "bye" the server ends. */
static bool echo(struct listener *l, int *ret_rc)
{
    const char *line;
    ssize_t n;
    struct side server = accept_one(l);
    *ret_rc = side_shake(&server);
    if (*ret_rc != 0)
        return false;
    struct tls *t = pirn_stream_self(server.stream, &pirn_tls_ops);
    bool reused = SSL_session_reused(t->ssl);
    CHECK(strcmp(pirn_tls_host(server.stream), "localhost") == 0);
    while ((n = pirn_stream_read_line(server.stream, &line, PIRN_NEVER)) > 0) {
        bool bye = n == 4 && memcmp(line, "bye\n", 4) == 0;
        CHECK_EQ(pirn_stream_write(server.stream, line, (size_t)n), n);
        CHECK_OK(pirn_stream_drain(server.stream, PIRN_NEVER));
        if (bye)
            break;
    }
    CHECK_GE(n, 1);
    side_close(&server);
    return reused;
}

/* A session kept by one connection is resumed by the next. */
static void two_sessions(struct listener *l, int version)
{
    for (int i = 0; i < 2; i++) {
        const char *args[] = {"openssl",
                              "s_client",
                              "-connect",
                              l->address,
                              "-CAfile",
                              cert_path("ca"),
                              "-verify_return_error",
                              "-verify_hostname",
                              "localhost",
                              "-servername",
                              "localhost",
                              "-alpn",
                              "h2",
                              version_flag(version),
                              i == 0 ? "-sess_out" : "-sess_in",
                              l->session,
                              NULL};
        struct tool *tool = tool_start(args);
        const char *typed = "echo this\nbye\n"; /* it does not print its own input */
        CHECK_EQ(pirn_write(tool->in, typed, strlen(typed), PIRN_NEVER), strlen(typed));
        int rc;
        CHECK(echo(l, &rc) == (i == 1));
        CHECK_OK(rc);
        tool_says(tool, "echo this\n");
        tool_says(tool, "bye\n");
        tool_says(tool, i == 0 ? "New, TLSv1" : "Reused, TLSv1");
        tool_says(tool, "ALPN protocol: h2");
        CHECK_OK(tool_wait(tool, false));
    }
    CHECK_OK(unlink(l->session));
}

/* It does not trust the server. */
static void refuses(struct listener *l, int version)
{
    const char *args[] = {"openssl",
                          "s_client",
                          "-connect",
                          l->address,
                          "-CAfile",
                          cert_path("stranger"),
                          "-verify_return_error",
                          "-servername",
                          "localhost",
                          version_flag(version),
                          NULL};
    struct tool *tool = tool_start(args);
    int rc;
    CHECK(!echo(l, &rc));
    CHECK_EQ(rc, -EPROTO);
    CHECK_EQ(tool_wait(tool, false), 1);
}

static int clients(void *arg)
{
    struct listener *l = arg;
    for (int version = 2; version <= 3; version++) {
        two_sessions(l, version);
        refuses(l, version);
    }
    return 0;
}

START_TEST(s_client_is_the_peer)
{
    struct sockaddr_in addr;
    struct listener l = {.fd = support_listen(&addr, 4),
                         .context = server_with("server", NULL, "h2,http/1.1")};
    snprintf(l.address, sizeof(l.address), "127.0.0.1:%d", ntohs(addr.sin_port));
    snprintf(l.session, sizeof(l.session), "%s/session", cert_dir);
    FOR_WORKERS(w) CHECK_OK(support_run(w, clients, &l));
    pirn_tls_context_release(l.context);
    CHECK_OK(close(l.fd));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {s_server_is_the_peer, s_client_is_the_peer};
    if (system("openssl version >/dev/null 2>&1") != 0)
        return 77;
    return support_main("tls/openssl", tests, sizeof(tests) / sizeof(tests[0]));
}
