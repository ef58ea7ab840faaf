/* wraps calloc */
/* wraps free */
/* wraps strcmp */
/*
 * A client with connections to many hosts: a request looks at its own host's alone, and finds that
 * among however many. The connections are a transport that replies to whatever is written.
 */
#include "tests/support.h"
#include "tests/support/apart.h"

#include <errno.h>
#include <pirn/http.h>
#include <stdio.h>

#include "api/http/client.h"

static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct peer {
    bool asked;
};

static ssize_t peer_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    struct peer *p = self;
    if (!p->asked) {
        int rc = pirn_sleep(deadline);
        return rc != 0 ? rc : -ETIMEDOUT;
    }
    CHECK_GE(n, sizeof(reply) - 1);
    p->asked = false;
    memcpy(buf, reply, sizeof(reply) - 1);
    return sizeof(reply) - 1;
}

static ssize_t peer_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    struct peer *p = self;
    (void)buf, (void)deadline;
    p->asked = true;
    return (ssize_t)n;
}

static ssize_t peer_try_write(void *self, const struct iovec *iov, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    return peer_write(self, NULL, n, PIRN_NOW);
}

static int peer_close(void *self)
{
    (void)self;
    return 0;
}

static int connects; /* as all here by the one worker */

static int connect_peer(void *user, pirn_stream **ret_stream, const char *scheme, const char *host,
                        uint16_t port, pirn_time deadline)
{
    static const pirn_transport ops = {.size = sizeof(ops),
                                       .read = peer_read,
                                       .write = peer_write,
                                       .close = peer_close,
                                       .free = free,
                                       .try_write = peer_try_write};
    (void)user, (void)scheme, (void)host, (void)port, (void)deadline;
    connects++;
    struct peer *p = malloc(sizeof(*p));
    CHECK(p);
    p->asked = false;
    return pirn_stream_over(ret_stream, &ops, p, NULL);
}

static pirn_http_client *new_client(void)
{
    pirn_http_client_config config = PIRN_HTTP_CLIENT_CONFIG_INIT;
    pirn_http_client *client = NULL;
    config.max_idle = 100000;
    config.idle_time = pirn_span_s(100000);
    config.connect = connect_peer;
    CHECK_OK(pirn_http_client_new(&client, &config));
    connects = 0;
    return client;
}

static void visit(pirn_http_client *client, int host)
{
    pirn_http_response *response;
    char url[64], *body;
    snprintf(url, sizeof(url), "http://host%d/", host);
    CHECK_OK(pirn_http_get(client, url, &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_all(response, &body, 100, PIRN_NEVER), 2);
    free(body);
    pirn_http_response_free(response);
}

/* ---- Connections ---------------------------------------------------------------------------- */

enum {
    HOSTS = 8
};

static int visit_one(void *arg)
{
    pirn_http_client *client = new_client();
    (void)arg;
    apart_begin(sizeof(struct link));
    for (int i = 0; i < HOSTS; i++)
        visit(client, i);
    apart_end();
    CHECK_EQ(atomic_load(&apart_count), HOSTS);
    for (int i = 3; i < HOSTS - 1; i++) /* it will come behind the last */
        CHECK_OK(apart_reach(i, false));
    visit(client, 1);
    for (int i = 3; i < HOSTS - 1; i++)
        CHECK_OK(apart_reach(i, true));
    CHECK_EQ(connects, HOSTS);
    for (int i = 0; i < HOSTS; i++)
        visit(client, i);
    CHECK_EQ(connects, HOSTS);
    pirn_http_client_free(client);
    return 0;
}

START_TEST(a_request_looks_at_its_own_hosts_connections)
{
    CHECK_OK(support_run(1, visit_one, NULL));
}
END_TEST

/* Of several to a host the last that was kept goes first, and the order of age is that of all. */
static int keep_several(void *arg)
{
    pirn_http_client *client = new_client();
    struct link *links[2][3];
    (void)arg;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 6; i++) {
            struct url url;
            CHECK_OK(pirn_http_url_split(i % 2 == 0 ? "http://a/" : "http://b/", &url));
            CHECK_OK(pirn_http_pool_take(client, &url, true, &links[i % 2][i / 2], PIRN_NEVER));
        }
        for (int i = 0; i < 6; i++)
            pirn_http_pool_give(client, links[i % 2][i / 2], true);
        CHECK_EQ(connects, 6);
        CHECK_EQ(client->idle_count, 6);
        CHECK(client->oldest == links[0][0]);
        CHECK(client->newest == links[1][2]);
        CHECK(client->oldest->host->kept == links[0][2]);
    }
    pirn_http_client_free(client);
    return 0;
}

START_TEST(the_last_to_be_kept_goes_first)
{
    CHECK_OK(support_run(1, keep_several, NULL));
}
END_TEST

/* ---- Hosts ---------------------------------------------------------------------------------- */

static atomic_long comparisons;

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);

int __wrap_strcmp(const char *a, const char *b)
{
    atomic_fetch_add(&comparisons, 1);
    return __real_strcmp(a, b);
}

/* For one request to each of so many hosts, to which connections are kept. */
static double count_comparisons(pirn_http_client *client, int hosts)
{
    for (int i = 0; i < hosts; i++)
        visit(client, i);
    long before = atomic_load(&comparisons);
    for (int i = 0; i < hosts; i++)
        visit(client, i);
    CHECK_EQ(connects, hosts);
    return (double)(atomic_load(&comparisons) - before) / hosts;
}

static int visit_many(void *arg)
{
    pirn_http_client *client = new_client();
    (void)arg;
    double few = count_comparisons(client, 10), many = count_comparisons(client, 3000);
    CHECK(few >= 1);
    CHECK(many < few + 4);
    pirn_http_client_free(client);
    return 0;
}

START_TEST(a_host_is_found_among_however_many)
{
    CHECK_OK(support_run(1, visit_many, NULL));
}
END_TEST

SUPPORT_MAIN("pool_crowd", a_request_looks_at_its_own_hosts_connections,
             the_last_to_be_kept_goes_first, a_host_is_found_among_however_many)
