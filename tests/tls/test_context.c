/*
 * Contexts: what they refuse and how they say so; and what a connection costs while it is idle.
 */
#include <malloc.h>

#include <openssl/opensslv.h>

#include "tests/tls/tls.h"

static int make(pirn_tls_role role, pirn_tls_context_config *config, char *ret_why, size_t size)
{
    pirn_tls_context *context = NULL;
    config->ret_error = ret_why;
    config->error_size = size;
    int rc = pirn_tls_context_new(&context, role, config);
    pirn_tls_context_release(context);
    return rc;
}

/* Made of these files it is refused, with such words. */
static void bad_files(pirn_tls_role role, const char *certificate, const char *key,
                      const char *password, int expected, const char *words)
{
    char why[128] = "unchanged";
    pirn_tls_context_config config = PIRN_TLS_CONTEXT_CONFIG_INIT;
    config.certificate = certificate;
    config.key = key;
    config.password = password;
    CHECK_EQ(make(role, &config, why, sizeof(why)), expected);
    if (strstr(why, words) == NULL)
        fprintf(stderr, "the reason was: %s\n", why);
    CHECK(strstr(why, words) != NULL);
}

START_TEST(files_that_are_no_good_are_named)
{
    char why[128];
    certs();
    bad_files(PIRN_TLS_SERVER, "/nowhere/cert.pem", NULL, NULL, -ENOENT, "/nowhere/cert.pem");
    bad_files(PIRN_TLS_SERVER, cert_path("server"), "/nowhere/key.pem", NULL, -ENOENT,
              "/nowhere/key.pem");
    bad_files(PIRN_TLS_SERVER, "/etc/passwd", NULL, NULL, -EINVAL, "/etc/passwd");
    bad_files(PIRN_TLS_SERVER, NULL, NULL, NULL, -EINVAL, "certificate");
    bad_files(PIRN_TLS_CLIENT, NULL, cert_path("client"), NULL, -EINVAL, "certificate");
    bad_files(PIRN_TLS_SERVER, cert_path("server"), cert_path("client"), NULL, -EINVAL, "mismatch");
    bad_files(PIRN_TLS_SERVER, cert_path("locked"), NULL, "sesam", -EINVAL, "locked");
    bad_files(PIRN_TLS_SERVER, cert_path("locked"), NULL, NULL, -EINVAL,
              "locked"); /* nobody is asked */
    bad_files(PIRN_TLS_SERVER, cert_path("locked"), NULL, "sesame", 0, "");
    bad_files(PIRN_TLS_CLIENT, NULL, NULL, NULL, 0, "");
    for (int i = 0; i < 3; i++) {
        pirn_tls_context_config config = PIRN_TLS_CONTEXT_CONFIG_INIT;
        config.ca_file = i == 0 ? "/nowhere" : i == 1 ? "/etc/passwd" : NULL;
        config.ca_dir = i == 2 ? "/nowhere" : NULL;
        CHECK_EQ(make(PIRN_TLS_CLIENT, &config, why, sizeof(why)), i == 1 ? -EINVAL : -ENOENT);
        CHECK(strstr(why, i == 1 ? "/etc/passwd" : "/nowhere") != NULL);
        CHECK_EQ(make(PIRN_TLS_CLIENT, &config, why, 3), i == 1 ? -EINVAL : -ENOENT);
        CHECK_EQ(strlen(why), 2);
    }
}
END_TEST

START_TEST(configs_that_make_no_sense_are_refused)
{
    char why[64];
    pirn_tls_context *context;
    certs();
    static const char *const names[] = {"", ",", "h2,", "h2,,h3"};
    for (size_t i = 0; i < 4; i++) {
        pirn_tls_context_config config = PIRN_TLS_CONTEXT_CONFIG_INIT;
        config.alpn = names[i];
        CHECK_EQ(make(PIRN_TLS_CLIENT, &config, why, sizeof(why)), -EINVAL);
        CHECK(strstr(why, "ALPN") != NULL);
    }
    for (int i = 0; i < 4; i++) {
        pirn_tls_context_config config = PIRN_TLS_CONTEXT_CONFIG_INIT;
        config.certificate = cert_path("server");
        config.size -= i == 0;
        config.flags = i == 1 ? (unsigned)PIRN_TLS_NO_VERIFY : i == 2 ? 1u << 20 : 0;
        config.min_version = (pirn_tls_version)(i == 3 ? 1 : 0);
        CHECK_EQ(make(PIRN_TLS_SERVER, &config, NULL, 0), -EINVAL);
        strcpy(why, "unchanged");
        CHECK_EQ(make(PIRN_TLS_SERVER, &config, why, sizeof(why)), -EINVAL);
        CHECK_OK(strcmp(why, i != 0 ? "a call that makes no sense" : "unchanged"));
    }
    CHECK_EQ(pirn_tls_context_new(NULL, PIRN_TLS_CLIENT, NULL), -EINVAL);
    CHECK_EQ(pirn_tls_context_new(&context, (pirn_tls_role)2, NULL), -EINVAL);
    CHECK(pirn_tls_context_native(NULL) == NULL);
    pirn_tls_context_release(NULL);
}
END_TEST

static int wrong_calls(void *arg)
{
    char text[8];
    (void)arg;
    pirn_tls_context *c = client_with("ca", NULL, NULL, 0), *s = server_with("server", NULL, NULL);
    struct link link = link_plain(c, s, "localhost");
    pirn_stream *stream, *below = link.client.below;
    pirn_tls_config config = PIRN_TLS_CONFIG_INIT;
    CHECK_EQ(pirn_tls_client(&stream, below, s, "localhost", NULL, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_tls_server(&stream, below, c, NULL, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_tls_client(&stream, NULL, c, "localhost", NULL, PIRN_NOW), -EINVAL);
    config.size = 0;
    CHECK_EQ(pirn_tls_client(&stream, below, c, "localhost", &config, PIRN_NOW), -EINVAL);
    CHECK(pirn_tls_alpn(below) == NULL && pirn_tls_host(below) == NULL);
    CHECK(pirn_tls_version_name(NULL) == NULL && pirn_tls_cipher(below) == NULL);
    CHECK_EQ(pirn_tls_peer(below, text, sizeof(text)), -EINVAL);
    CHECK_EQ(pirn_tls_error(below, text, sizeof(text)), -EINVAL);
    CHECK_EQ(pirn_tls_client(&stream, below, c, "localhost", NULL, pirn_after_ms(1)), -ETIMEDOUT);
    pirn_stream_release(link.client.below);
    pirn_stream_release(link.server.below);
    pirn_tls_context_release(c);
    pirn_tls_context_release(s);
    return 0;
}

static void *on_a_thread(void *stream)
{
    pirn_tls_context *c = client_with("ca", NULL, NULL, 0);
    CHECK_EQ(pirn_tls_client((pirn_stream **)stream, *(pirn_stream **)stream, c, "localhost", NULL,
                             PIRN_NOW),
             -EPERM);
    pirn_tls_context_release(c);
    return NULL;
}

START_TEST(calls_that_make_no_sense_are_refused)
{
    pirn_stream *stream;
    int pair[2];
    certs();
    CHECK_OK(support_run(1, wrong_calls, NULL));
    support_pair(pair);
    CHECK_OK(pirn_stream_new(&stream, pair[0], NULL));
    on_a_thread(&stream);
    pirn_stream_release(stream);
    CHECK_OK(close(pair[1]));
}
END_TEST

/* ---- Idle ---- */

enum {
    IDLE = 50
};

static int read_a_byte(void *stream)
{
    char c;
    return (int)pirn_stream_read(stream, &c, 1, PIRN_NEVER);
}

/* Both sides of each have sent and received, and wait: no buffer of a record's size is left. */
static int idle(void *arg)
{
    (void)arg;
    static char block[200000];
    struct link link[IDLE];
    pirn_task *reader[2 * IDLE];
    pirn_tls_context *c = client_with("ca", NULL, NULL, 0), *s = server_with("server", NULL, NULL);
    struct link first = link_open(c, s); /* what OpenSSL makes once */
    size_t before = 0;
    for (int i = 0; i < IDLE; i++) {
        if (i == 1)
            before = mallinfo2().uordblks;
        link[i] = link_open(c, s);
        pirn_stream *streams[2] = {link[i].client.stream, link[i].server.stream};
        for (int j = 0; j < 2; j++) {
            CHECK_EQ(pirn_stream_write(streams[j], block, sizeof(block)), sizeof(block));
            for (size_t got = 0; got < sizeof(block);) {
                char *data;
                ssize_t n =
                    pirn_stream_read(streams[1 - j], (data = malloc(9000)), 9000, PIRN_NEVER);
                free(data);
                CHECK_GE(n, 1);
                got += (size_t)n;
            }
            CHECK_OK(pirn_stream_flush(streams[j], PIRN_NEVER));
        }
        for (int j = 0; j < 2; j++) {
            reader[2 * i + j] = support_spawn(read_a_byte, streams[j]);
            support_until_waiting(reader[2 * i + j]);
        }
    }
    size_t each = (mallinfo2().uordblks - before) / (2 * (IDLE - 1));
    if (getenv("PIRN_TEST_VERBOSE") != NULL)
        fprintf(stderr, "%zu bytes for each end\n", each);
    /* OpenSSL's own 12 KB (26 from 3.5 on), the task that reads, two streams. (Sanitizers count in
     * their own way.) */
    if (!support_slow())
        CHECK_LE(each, (OPENSSL_VERSION_NUMBER >= 0x30500000L ? 42 : 23) * 1024);
    for (int i = 0; i < IDLE; i++) {
        side_close(&link[i].client);
        CHECK_EQ(support_join(reader[2 * i]), -EBADF);
        CHECK_EQ(support_join(reader[2 * i + 1]), 0);
        side_close(&link[i].server);
    }
    link_close(&first);
    pirn_tls_context_release(c);
    pirn_tls_context_release(s);
    return 0;
}

START_TEST(an_idle_connection_is_small)
{
    certs();
    CHECK_OK(support_run(1, idle, NULL));
}
END_TEST

/* ---- Stacks ---- */

static int small_shake(void *arg)
{
    int rc = side_shake(arg);
    if (rc == 0)
        side_close(arg);
    return rc;
}

/* With the largest keys there are, on stacks of 32 KiB; below those a guard ends the program. */
static int small_stacks(void *arg)
{
    (void)arg;
    for (int version = 2; version <= 3; version++) {
        pirn_tls_context *c = client_with("ca", "rsa", NULL, 0),
                         *s = server_with("rsa", "ca", NULL);
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        struct link link = link_plain(c, s, "localhost");
        pirn_task *client, *server;
        if (version == 2)
            only_1_2(c);
        config.stack_size = 32 * 1024;
        CHECK_OK(pirn_spawn_with(&client, &config, small_shake, &link.client));
        CHECK_OK(pirn_spawn_with(&server, &config, small_shake, &link.server));
        CHECK_OK(support_join(client));
        CHECK_OK(support_join(server));
        pirn_tls_context_release(c);
        pirn_tls_context_release(s);
    }
    return 0;
}

START_TEST(half_a_stack_is_enough)
{
    certs();
    if (!support_slow())
        CHECK_OK(support_run(2, small_stacks, NULL));
}
END_TEST

SUPPORT_MAIN("tls/context", files_that_are_no_good_are_named,
             configs_that_make_no_sense_are_refused, calls_that_make_no_sense_are_refused,
             an_idle_connection_is_small, half_a_stack_is_enough)
