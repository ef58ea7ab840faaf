/*
 * A stop and those who have been accepted and not served yet: while a connection is opened, and for
 * a moment after, its first request is waited for. And handlers that no cancel reaches hear that
 * they have been given up.
 */
#include "api/http/server.h"
#include "tests/http/site.h"

static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_text(reply, 200, "hello");
}

static void until_it_stops(const struct site *site)
{
    while (!atomic_load(&site->server->stopping))
        CHECK_OK(pirn_yield());
}

/* ---- It is being opened, as by a handshake ------------------------------------------------- */

struct opening {
    pirn_future *gate;
    atomic_int begun;
};

static int open_slowly(void *user, pirn_stream **ret_stream, pirn_stream *below, pirn_time deadline)
{
    struct opening *o = user;
    (void)deadline;
    atomic_fetch_add(&o->begun, 1);
    *ret_stream = below;
    return pirn_await(o->gate, NULL, PIRN_NEVER);
}

static void stopped_while_it_opens(const char *request, bool answered)
{
    struct opening o = {0};
    struct site site;
    char text[512];
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    CHECK_OK(pirn_future_new(&o.gate));
    config.open = open_slowly;
    config.open_user = &o;
    site_new(&site, &config);
    site_route(&site, "GET", "/", hello, NULL);
    site_open(&site);
    int fd = site_dial(&site);
    if (answered)
        site_say(fd, request);
    support_until(&o.begun, 1);
    site_end(&site, pirn_span_s(1000));
    until_it_stops(&site);
    CHECK_OK(pirn_future_set(o.gate, 0, NULL));
    size_t n = site_hear(fd, text, sizeof(text));
    CHECK((n > 0 && strstr(text, "hello") != NULL) == answered);
    CHECK((n > 0 && strstr(text, "Connection: close") != NULL) == answered);
    CHECK_OK(support_join(site.task));
    CHECK_OK(site.stopped);
    pirn_http_server_release(site.server);
    CHECK_OK(pirn_release(o.gate));
    pirn_close(fd);
}

static int openings(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(10); i++)
        stopped_while_it_opens("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true);
    stopped_while_it_opens("", false); /* it never says anything: a second, no more */
    return 0;
}

START_TEST(s172_who_is_being_opened_is_answered)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, openings, NULL));
}
END_TEST

/* ---- Its first request comes a moment after the stop ---------------------------------------- */

/* Has it been answered? Not if this machine has taken longer than what new ones are left. */
static bool asked_after_the_stop(void)
{
    struct site site;
    char text[512];
    site_new(&site, NULL);
    site_route(&site, "GET", "/", hello, NULL);
    site_open(&site);
    int fd = site_dial(&site);
    while (pirn_http_server_connections(site.server) < 1)
        CHECK_OK(pirn_yield());
    site_end(&site, pirn_span_s(1000));
    until_it_stops(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    size_t n = site_hear(fd, text, sizeof(text));
    CHECK_OK(support_join(site.task));
    CHECK_OK(site.stopped);
    pirn_http_server_release(site.server);
    pirn_close(fd);
    return n > 0 && strstr(text, "hello") != NULL;
}

static int first_ones(void *arg)
{
    int answered = 0;
    (void)arg;
    for (int i = 0; i < 50 && answered < 3; i++)
        answered += asked_after_the_stop();
    CHECK_EQ(answered, 3);
    return 0;
}

START_TEST(s172_a_first_request_may_come_a_moment_later)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, first_ones, NULL));
}
END_TEST

/* ---- Given up ------------------------------------------------------------------------------ */

struct work {
    atomic_int begun, told;
};

/* On a thread of the pool, where no cancel comes. */
static int works(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    struct work *work = user;
    atomic_fetch_add(&work->begun, 1);
    for (int i = 0; i < 60000 && !pirn_http_disconnected(request); i++)
        support_pause_ms(1);
    atomic_fetch_add(&work->told, pirn_http_disconnected(request));
    return pirn_http_reply_text(reply, 200, "too late");
}

static int given_up(void *arg)
{
    struct work work = {0};
    struct site site;
    char text[512];
    (void)arg;
    site_new(&site, NULL);
    site_route_blocking(&site, "GET", "/", works, &work);
    site_open(&site);
    int fd = site_dial(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&work.begun, 1);
    site_end(&site, pirn_span_ms(20));
    CHECK_OK(support_join(site.task));
    CHECK_EQ(atomic_load(&work.told), 1);
    CHECK(site.stopped == -ETIMEDOUT || site.stopped == -EBUSY);
    site_hear(fd, text, sizeof(text));
    pirn_http_server_release(site.server);
    pirn_close(fd);
    return 0;
}

START_TEST(a_blocking_handler_hears_that_it_is_given_up)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, given_up, NULL));
}
END_TEST

SUPPORT_MAIN("http/stop_new", s172_who_is_being_opened_is_answered,
             s172_a_first_request_may_come_a_moment_later,
             a_blocking_handler_hears_that_it_is_given_up)
