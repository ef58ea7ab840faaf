/* What a connection costs that has been used and waits for its next request. */
#include "tests/http/site.h"

#include <stdio.h>
#include <sys/resource.h>

enum {
    CONNECTIONS = 6000,
    WARM = 1000 /* until what malloc and the pools take in advance is taken */
};

static int fds[CONNECTIONS];

static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)user;
    return pirn_http_reply_text(reply, 200, pirn_http_param(request, "name"));
}

static int measure(void *arg)
{
    struct site site;
    char text[512];
    long before = 0;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/hello/{name}", hello, NULL);
    site_open(&site);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (i == WARM)
            before = support_resident();
        fds[i] = site_dial(&site);
        site_say(fds[i], "GET /hello/world HTTP/1.1\r\nHost: x\r\nUser-Agent: some/1.0\r\n\r\n");
        site_hear_words(fds[i], text, sizeof(text), "world", 1);
    }
    CHECK_OK(pirn_sleep(pirn_after_ms(20)));
    long each = (support_resident() - before) / (CONNECTIONS - WARM);
    printf("an idle connection has %ld bytes\n", each);
#ifdef __clang__ /* whose frames are larger: the handler's reach into a second page of the stack */
    long most = 6144 + 4096;
#else
    long most = 6144;
#endif
#ifdef PIRN_HTTP_LLHTTP
    most += 64; /* its state is that much larger than http_parser's */
#endif
    if (!support_slow())
        CHECK_LE(each, most);
    for (int i = 0; i < CONNECTIONS; i++) { /* they are as good as new */
        site_say(fds[i], "GET /hello/again HTTP/1.1\r\nHost: x\r\n\r\n");
        site_hear_words(fds[i], text, sizeof(text), "again", 1);
        pirn_close(fds[i]);
    }
    site_close(&site);
    return 0;
}

START_TEST(s168_an_idle_connection_is_small)
{
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_cur < 2 * CONNECTIONS + 100) {
        printf("too few descriptors\n");
        return;
    }
    CHECK_OK(support_run(1, measure, NULL));
}
END_TEST

SUPPORT_MAIN("http/idle", s168_an_idle_connection_is_small)
