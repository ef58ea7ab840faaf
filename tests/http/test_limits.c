/* What one server's limits are to one route, one client, one reply. */
#include "tests/http/site.h"

static int count(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char buf[4096], text[32];
    ssize_t n, all = 0;
    (void)user;
    while ((n = pirn_http_body_read(request, buf, sizeof buf, PIRN_NEVER)) > 0)
        all += n;
    if (n < 0)
        return (int)n;
    snprintf(text, sizeof text, "%zd", all);
    return pirn_http_reply_text(reply, 200, text);
}

/* ---- Bodies, by route ------------------------------------------------------------------------- */

/* A POST of so many bytes, whole or as one chunk, over a connection of its own. */
static void post(const struct site *site, const char *path, size_t n, bool chunked, char *text,
                 size_t size)
{
    static char ask[20000];
    char *at = ask;
    at += sprintf(at, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", path);
    at += sprintf(
        at, chunked ? "Transfer-Encoding: chunked\r\n\r\n%zx\r\n" : "Content-Length: %zu\r\n\r\n",
        n);
    memset(at, 'a', n);
    strcpy(at + n, chunked ? "\r\n0\r\n\r\n" : "");
    site_ask(site, ask, text, size);
}

static int by_route(void *arg)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    pirn_http_route_config route = PIRN_HTTP_ROUTE_CONFIG_INIT;
    struct site site;
    char text[1024];
    (void)arg;
    config.max_body = 1000;
    site_new(&site, &config);
    site_route(&site, "POST", "/plain", count, NULL);
    route.max_body = 10000;
    CHECK_OK(pirn_http_server_route(site.server, "POST", "/more", count, NULL, &route));
    route.max_body = 10;
    CHECK_OK(pirn_http_server_route(site.server, "POST", "/less", count, NULL, &route));
    route.max_body = -1;
    CHECK_OK(pirn_http_server_route(site.server, "POST", "/any", count, NULL, &route));
    route.max_body = -2;
    CHECK_EQ(pirn_http_server_route(site.server, "POST", "/e", count, NULL, &route), -EINVAL);
    route.max_body = 0;
    route.size--;
    CHECK_EQ(pirn_http_server_route(site.server, "POST", "/e", count, NULL, &route), -EINVAL);
    site_open(&site);
    static const struct {
        const char *path;
        size_t most; /* 0: any */
    } cases[] = {{"/plain", 1000}, {"/more", 10000}, {"/less", 10}, {"/any", 0}, {"/none", 1000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool known = strcmp(cases[i].path, "/none") != 0;
        for (int chunked = 0; chunked < 2; chunked++) {
            size_t most = cases[i].most != 0 ? cases[i].most : 15000;
            post(&site, cases[i].path, most, chunked, text, sizeof text);
            BEGINS(text, known ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 404 Not Found\r\n");
            if (cases[i].most == 0 || (!known && chunked))
                continue;
            post(&site, cases[i].path, most + 1, chunked, text, sizeof text);
            BEGINS(text, "HTTP/1.1 413 Content Too Large\r\n");
        }
    }
    site_close(&site);
    return 0;
}

START_TEST(s171_each_route_has_its_body_limit)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, by_route, NULL));
}
END_TEST

SUPPORT_MAIN("http/limits", s171_each_route_has_its_body_limit)
