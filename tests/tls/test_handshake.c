/*
 * Handshakes: whose certificates are taken, what is agreed on, what becomes of one that is
 * cancelled at any step of it, and many at the same time.
 */
#include "tests/tls/tls.h"

struct pair_of_contexts {
    pirn_tls_context *client, *server;
};

static void drop(struct pair_of_contexts *c)
{
    pirn_tls_context_release(c->client);
    pirn_tls_context_release(c->server);
}

/* One handshake with this outcome at the client; the server's is returned. words: of the client's
 * reason. */
static int refused(struct pair_of_contexts c, const char *host, int expected, const char *words)
{
    struct link link = link_plain(c.client, c.server, host);
    struct outcome2 rc = link_shake(&link);
    CHECK_EQ(rc.client, expected);
    if (strstr(link.client.why, words) == NULL)
        fprintf(stderr, "the reason was: %s\n", link.client.why);
    CHECK(strstr(link.client.why, words) != NULL);
    if (rc.server == 0) /* of TLS 1.3 it may be done before it hears of the refusal */
        side_close(&link.server);
    drop(&c);
    return rc.server;
}

static struct pair_of_contexts plain_contexts(void)
{
    return (struct pair_of_contexts){client_with("ca", NULL, NULL, 0),
                                     server_with("server", NULL, NULL)};
}

static void taken(struct pair_of_contexts c, const char *host)
{
    struct link link = link_plain(c.client, c.server, host);
    struct outcome2 rc = link_shake(&link);
    CHECK_OK(rc.client);
    CHECK_OK(rc.server);
    CHECK(link.client.why[0] == 0);
    link_say(link.client.stream, link.server.stream, "ping");
    link_say(link.server.stream, link.client.stream, "pong");
    link_close(&link);
    drop(&c);
}

/* ---- Names and certificates ---- */

static int good_names(void *arg)
{
    static const char *const hosts[] = {"localhost", "localhost.", "a.example.org",
                                        "LOCALHOST", "127.0.0.1",  "::1"};
    (void)arg;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        taken(plain_contexts(), hosts[i]);
    taken(
        (struct pair_of_contexts){client_with("ca", NULL, NULL, 0), server_with("rsa", NULL, NULL)},
        "localhost");
    return 0;
}

static int bad_names(void *arg)
{
    static const char *const hosts[] = {"example.net", "a.b.example.org", "127.0.0.2", "::2",
                                        "example.org"};
    (void)arg;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        bool address = i == 2 || i == 3;
        refused(plain_contexts(), hosts[i], -EKEYREJECTED,
                address ? "IP address mismatch" : "hostname mismatch");
    }
    /* Its subject's common name is the host; that is no name of a host (RFC 9525). */
    refused((struct pair_of_contexts){client_with("ca", NULL, NULL, 0),
                                      server_with("client", NULL, NULL)},
            "client", -EKEYREJECTED, "hostname mismatch");
    return 0;
}

static int bad_certificates(void *arg)
{
    (void)arg;
    struct {
        const char *name, *words;
    } bad[] = {{"expired", "expired"}, {"early", "not yet valid"}, {"stranger", "self-signed"}};
    for (size_t i = 0; i < 3; i++)
        refused((struct pair_of_contexts){client_with("ca", NULL, NULL, 0),
                                          server_with(bad[i].name, NULL, NULL)},
                "localhost", -EKEYREJECTED, bad[i].words);
    /* The system trusts no authority of this test's; so the default verifies. */
    refused((struct pair_of_contexts){client_with(NULL, NULL, NULL, 0),
                                      server_with("server", NULL, NULL)},
            "localhost", -EKEYREJECTED, "certificate");
    return 0;
}

static int unverified(void *arg)
{
    (void)arg;
    taken((struct pair_of_contexts){client_with(NULL, NULL, NULL, PIRN_TLS_NO_VERIFY),
                                    server_with("stranger", NULL, NULL)},
          "example.net");
    taken((struct pair_of_contexts){client_with(NULL, NULL, NULL, PIRN_TLS_NO_VERIFY),
                                    server_with("expired", NULL, NULL)},
          NULL);
    taken((struct pair_of_contexts){client_with("ca", NULL, NULL, PIRN_TLS_ANY_HOST),
                                    server_with("server", NULL, NULL)},
          "example.net");
    refused((struct pair_of_contexts){client_with("ca", NULL, NULL, PIRN_TLS_ANY_HOST),
                                      server_with("expired", NULL, NULL)},
            "localhost", -EKEYREJECTED, "expired");
    return 0;
}

static int hosts_needed(void *arg)
{
    char longer[300];
    /* ".example.org" would be any host of that domain, to OpenSSL */
    const char *const bad[] = {NULL, "", longer, "local%host", ".example.org", "."};
    (void)arg;
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = 0;
    for (int i = 0; i < 6; i++) {
        struct pair_of_contexts c = plain_contexts();
        struct link link = link_plain(c.client, c.server, bad[i]);
        CHECK_EQ(side_shake(&link.client), -EINVAL);
        pirn_stream_release(link.server.below);
        drop(&c);
    }
    return 0;
}

/* ---- Clients that show who they are ---- */

static int clients(void *arg)
{
    char name[128];
    (void)arg;
    for (int v = 2; v <= 3; v++) {
        struct pair_of_contexts c = {client_with("ca", "client", NULL, 0),
                                     server_with("server", "ca", NULL)};
        if (v == 2)
            only_1_2(c.client);
        struct link link = link_open(c.client, c.server);
        CHECK_EQ(pirn_tls_peer(link.server.stream, name, sizeof(name)), strlen("CN=client,O=pirn"));
        CHECK(strcmp(name, "CN=client,O=pirn") == 0);
        CHECK_EQ(pirn_tls_peer(link.client.stream, name, 5), -ENOSPC);
        CHECK_GE(pirn_tls_peer(link.client.stream, name, sizeof(name)), 1);
        CHECK(strcmp(name, "CN=server,O=pirn") == 0);
        link_close(&link);
        drop(&c);
    }
    return 0;
}

/* Without one, or with one of no authority the server knows. Of TLS 1.3 the client is told
 * later. */
static int wrong_clients(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        char text[128];
        bool stranger = (i & 1) != 0, old = (i & 2) != 0;
        struct pair_of_contexts c = {client_with("ca", stranger ? "stranger" : NULL, NULL, 0),
                                     server_with("server", "ca", NULL)};
        if (old)
            only_1_2(c.client);
        struct link link = link_plain(c.client, c.server, "localhost");
        struct outcome2 rc = link_shake(&link);
        CHECK_EQ(rc.server, -EKEYREJECTED);
        if (rc.client == 0) {
            CHECK(!old);
            CHECK_EQ(pirn_stream_read(link.client.stream, text, 1, PIRN_NEVER), -EPROTO);
            CHECK_GE(pirn_tls_error(link.client.stream, text, sizeof(text)), 1);
            CHECK(strstr(text, "alert") != NULL);
            side_close(&link.client);
        } else {
            CHECK_EQ(rc.client, -EPROTO);
            CHECK(strstr(link.client.why, "alert") != NULL);
        }
        drop(&c);
    }
    return 0;
}

/* ---- What is agreed on ---- */

static int agreed(void *arg)
{
    (void)arg;
    for (int v = 2; v <= 3; v++) {
        struct pair_of_contexts c = {client_with("ca", NULL, "http/1.1,h2", 0),
                                     server_with("server", NULL, "h3,h2,http/1.1")};
        if (v == 2)
            only_1_2(c.server);
        struct link link = link_open(c.client, c.server);
        CHECK(strcmp(pirn_tls_alpn(link.client.stream), "h2") == 0); /* the server's order */
        CHECK(strcmp(pirn_tls_alpn(link.server.stream), "h2") == 0);
        const char *version = v == 2 ? "TLSv1.2" : "TLSv1.3";
        CHECK(strcmp(pirn_tls_version_name(link.client.stream), version) == 0);
        CHECK(strcmp(pirn_tls_version_name(link.server.stream), version) == 0);
        CHECK(strcmp(pirn_tls_cipher(link.client.stream), pirn_tls_cipher(link.server.stream)) ==
              0);
        CHECK(strcmp(pirn_tls_host(link.server.stream), "localhost") == 0);
        CHECK_EQ(pirn_tls_error(link.server.stream, NULL, 0), -ENOSPC);
        CHECK_GE(pirn_stream_fd(link.server.stream), 0);
        char text[8];
        CHECK_EQ(pirn_tls_peer(link.server.stream, text, sizeof(text)), -ENOENT);
        CHECK_EQ(pirn_tls_error(link.server.stream, text, sizeof(text)), 0);
        link_close(&link);
        drop(&c);
    }
    return 0;
}

static int alpn_mismatch(void *arg)
{
    (void)arg;
    int rc = refused((struct pair_of_contexts){client_with("ca", NULL, "h2", 0),
                                               server_with("server", NULL, "http/1.1")},
                     "localhost", -EPROTO, "no application protocol");
    CHECK_EQ(rc, -EPROTO);
    /* A server that knows nothing of it agrees on nothing. */
    struct pair_of_contexts c = {client_with("ca", NULL, "h2", 0),
                                 server_with("server", NULL, NULL)};
    struct link link = link_open(c.client, c.server);
    CHECK(strcmp(pirn_tls_alpn(link.client.stream), "") == 0);
    link_close(&link);
    drop(&c);
    return 0;
}

static int version_mismatch(void *arg)
{
    (void)arg;
    pirn_tls_context_config config = PIRN_TLS_CONTEXT_CONFIG_INIT;
    struct pair_of_contexts c = {NULL, server_with("server", NULL, NULL)};
    config.ca_file = cert_path("ca");
    config.min_version = PIRN_TLS_1_3;
    CHECK_OK(pirn_tls_context_new(&c.client, PIRN_TLS_CLIENT, &config));
    only_1_2(c.server);
    CHECK_EQ(refused(c, "localhost", -EPROTO, "version"), -EPROTO);
    return 0;
}

/* What comes is not TLS, ends at once, or ends in the middle. */
static int not_tls(void *arg)
{
    static const char page[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)arg;
    for (int i = 0; i < 3; i++) {
        struct pair_of_contexts c = plain_contexts();
        struct link link = link_plain(c.client, c.server, "localhost");
        if (i == 0)
            CHECK_EQ(pirn_stream_write(link.server.below, page, sizeof(page)), sizeof(page));
        else if (i == 1)
            CHECK_EQ(pirn_stream_write(link.server.below, "\x16\x03\x03\x02\x00", 5), 5);
        CHECK_OK(pirn_stream_end(link.server.below, PIRN_NEVER));
        CHECK_EQ(side_shake(&link.client), i == 0 ? -EPROTO : -ECONNRESET);
        CHECK(link.client.why[0] != 0);
        pirn_stream_release(link.server.below);
        drop(&c);
    }
    return 0;
}

START_TEST(a_certificate_for_the_host_is_taken)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, good_names, NULL));
}
END_TEST

START_TEST(a_certificate_of_another_host_is_not)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, bad_names, NULL));
}
END_TEST

START_TEST(one_that_is_expired_early_or_not_trusted_is_not)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, bad_certificates, NULL));
}
END_TEST

START_TEST(what_is_not_verified_is_so_by_request)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, unverified, NULL));
    CHECK_OK(support_run(1, hosts_needed, NULL));
}
END_TEST

START_TEST(clients_show_who_they_are)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, clients, NULL));
        CHECK_OK(support_run(w, wrong_clients, NULL));
    }
}
END_TEST

START_TEST(protocols_and_versions_are_agreed_on)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, agreed, NULL));
        CHECK_OK(support_run(w, alpn_mismatch, NULL));
        CHECK_OK(support_run(w, version_mismatch, NULL));
        CHECK_OK(support_run(w, not_tls, NULL));
    }
}
END_TEST

SUPPORT_MAIN("tls/handshake", a_certificate_for_the_host_is_taken,
             a_certificate_of_another_host_is_not, one_that_is_expired_early_or_not_trusted_is_not,
             what_is_not_verified_is_so_by_request, clients_show_who_they_are,
             protocols_and_versions_are_agreed_on)
