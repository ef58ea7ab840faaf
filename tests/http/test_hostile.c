/* The server and clients that send too much, too slowly, or go away. */
#include "tests/http/site.h"

#include <sys/resource.h>

static int ok(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_text(reply, 200, "fine");
}

static int read_all(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char buf[1000];
    ssize_t n;
    atomic_int *result = user; /* the test hears of it over a socket */
    do
        n = pirn_http_body_read(request, buf, sizeof buf, PIRN_NEVER);
    while (n > 0);
    if (result != NULL)
        atomic_store(result, (int)n);
    return n < 0 ? (int)n : pirn_http_reply_text(reply, 200, "read");
}

static void fill(char *at, size_t n)
{
    memset(at, 'a', n);
    at[n] = '\0';
}

static int too_much(void *arg)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    static char ask[40000], text[4096];
    struct site site;
    atomic_int result = 0;
    (void)arg;
    config.max_head = 2000;
    config.max_target = 1000;
    config.max_headers = 10;
    config.max_body = 5000;
    site_new(&site, &config);
    site_route(&site, "POST", "/", read_all, &result);
    site_open(&site);

    /* Each is told, and the connection is closed: site_ask waits for that. */
    fill(stpcpy(ask, "GET /"), 1000);
    strcat(ask, " HTTP/1.1\r\nHost: x\r\n\r\n");
    site_ask(&site, ask, text, sizeof text);
    BEGINS(text, "HTTP/1.1 414 URI Too Long\r\n");
    CHECK(strstr(text, "\r\nConnection: close\r\n") != NULL);
    fill(stpcpy(ask, "GET / HTTP/1.1\r\nHost: "), 30000);
    site_ask(&site, ask, text, sizeof text);
    BEGINS(text, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
    strcpy(ask, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 11; i++)
        strcat(ask, "A: b\r\n");
    site_ask(&site, ask, text, sizeof text);
    BEGINS(text, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
    site_ask(&site, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5001\r\n\r\n", text,
             sizeof text);
    BEGINS(text, "HTTP/1.1 413 Content Too Large\r\n");
    CHECK_EQ(atomic_load(&result), 0); /* the handler was not asked */
    fill(stpcpy(ask, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1389\r\n"),
         5001);
    site_ask(&site, ask, text, sizeof text);
    BEGINS(text, "HTTP/1.1 413 Content Too Large\r\n");
    CHECK_EQ(atomic_load(&result), -EMSGSIZE);
    static const char *bad[] = {
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        "POST / HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02\x03",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        site_ask(&site, bad[i], text, sizeof text);
        BEGINS(text, "HTTP/1.1 400 Bad Request\r\n");
    }
    site_ask(&site, "GET / HTTP/2.0\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 505 ");
    site_ask(&site, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", text,
             sizeof text);
    CHECK(strncmp(text, "HTTP/1.1 501 ", 13) == 0 || strncmp(text, "HTTP/1.1 400 ", 13) == 0);
    site_ask(&site, "POST / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 417 ");
    site_close(&site);
    return 0;
}

START_TEST(s171_too_much_is_told_and_the_connection_closed)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, too_much, NULL));
}
END_TEST

/* ---- Too slowly ---------------------------------------------------------------------------- */

static atomic_int flooded;

static int flood(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static const char zeros[65536];
    ssize_t n = pirn_http_reply_begin(reply, 200, NULL, -1);
    (void)request;
    while (n >= 0)
        n = pirn_http_reply_write(reply, zeros, sizeof zeros, PIRN_NEVER);
    atomic_store((atomic_int *)user, (int)n);
    atomic_store(&flooded, 1);
    return (int)n;
}

/* With one short time, of which the rest of the config knows nothing. */
static void open_slow(struct site *site, const pirn_http_server_config *config,
                      atomic_int *ret_result)
{
    site_new(site, config);
    site_route(site, "GET", "/", ok, NULL);
    site_route(site, "POST", "/", read_all, ret_result);
    site_route(site, "GET", "/flood", flood, ret_result);
    site_open(site);
}

static int too_slow(void *arg)
{
    pirn_http_server_config head = PIRN_HTTP_SERVER_CONFIG_INIT, body = head, idle = head,
                            unread = head;
    char text[4096];
    struct site site;
    atomic_int result = 0;
    (void)arg;
    head.head_time = (pirn_span){40 * MS};
    open_slow(&site, &head, &result);
    int64_t begin = support_now();
    do /* who has said nothing when the time is over (on a busy machine) hears nothing */
        site_ask(&site, "GET / HTTP/1.1\r\nHos", text, sizeof text);
    while (text[0] == '\0');
    CHECK_GE(support_now() - begin, 40 * MS);
    BEGINS(text, "HTTP/1.1 408 Request Timeout\r\n");
    site_ask(&site, "", text, sizeof text);
    CHECK_EQ(text[0], '\0');
    site_close(&site);

    idle.idle_time = (pirn_span){20 * MS};
    open_slow(&site, &idle, &result);
    site_ask(&site, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", text, sizeof text);
    BEGINS(text, "HTTP/1.1 200 OK\r\n");
    CHECK(strstr(text, "close") == NULL);
    site_close(&site);

    body.body_time = (pirn_span){40 * MS};
    open_slow(&site, &body, &result);
    site_ask(&site, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell", text,
             sizeof text);
    BEGINS(text, "HTTP/1.1 408 Request Timeout\r\n");
    CHECK_EQ(atomic_load(&result), -ETIME);
    site_close(&site);

    unread.write_time = (pirn_span){40 * MS};
    atomic_store(&result, 0);
    open_slow(&site, &unread, &result);
    int fd = site_dial(&site);
    site_say(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&flooded, 1);
    CHECK_EQ(atomic_load(&result), -ETIMEDOUT);
    atomic_store(&flooded, 0);
    pirn_close(fd);
    site_close(&site);
    CHECK_EQ(site.report.used, 0); /* it is the client's doing */
    return 0;
}

START_TEST(s171_slow_clients_are_sent_away)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, too_slow, NULL));
}
END_TEST

/* Sends a head byte by byte, and never ends it. */
struct loris {
    struct site *site;
    atomic_int *connected;
};

static int loris(void *arg)
{
    const struct loris *l = arg;
    int fd = site_dial(l->site);
    site_say(fd, "GET / HTTP/1.1\r\nX: ");
    atomic_fetch_add(l->connected, 1);
    while (pirn_sleep(pirn_after_ms(50)) == 0 && pirn_send(fd, "a", 1, 0, PIRN_NEVER) == 1)
        ;
    pirn_close(fd);
    return 0;
}

static int honest(void *arg)
{
    struct site *site = arg;
    char text[1024];
    for (int i = 0; i < 20; i++) {
        site_ask(site, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text, sizeof text);
        BEGINS(text, "HTTP/1.1 200 OK\r\n");
    }
    return 0;
}

static int besieged(void *arg)
{
    struct site site;
    atomic_int connected = 0;
    struct loris l = {&site, &connected};
    pirn_scope *scope;
    int attackers = support_rounds(1000);
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", ok, NULL);
    site_open(&site);
    CHECK_OK(pirn_scope_open(&scope, 0));
    for (int i = 0; i < attackers; i++)
        CHECK_OK(pirn_scope_spawn(scope, loris, &l, PIRN_NEVER));
    support_until(&connected, attackers);
    pirn_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = support_spawn(honest, &site);
    for (int i = 0; i < 10; i++)
        CHECK_OK(support_join(tasks[i])); /* while all of them are still at it */
    CHECK_EQ(atomic_load(&connected), attackers);
    CHECK_OK(pirn_scope_cancel(scope, NULL));
    CHECK_EQ(pirn_scope_close(scope, PIRN_NEVER), 0);
    site_close(&site);
    return 0;
}

START_TEST(s171_a_thousand_slow_clients_do_not_stop_ten_honest_ones)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
    setrlimit(RLIMIT_NOFILE, &limit);
    FOR_WORKERS(w) CHECK_OK(support_run(w, besieged, NULL));
}
END_TEST

enum {
    PIPELINED = 24,
    BIG = 4 << 20
};

static int give_big(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static const char zeros[BIG];
    (void)request;
    atomic_fetch_add((atomic_int *)user, 1);
    return pirn_http_reply_bytes(reply, 200, NULL, zeros, sizeof zeros);
}

static int greedy(void *arg)
{
    static char text[65536];
    struct site site;
    atomic_int asked = 0;
    size_t n = 0;
    ssize_t got;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", give_big, &asked);
    site_open(&site);
    int fd = site_dial(&site);
    for (int i = 0; i < PIPELINED; i++)
        site_say(fd, i < PIPELINED - 1 ? "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
                                       : "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    support_until(&asked, 1);
    CHECK_OK(pirn_sleep(pirn_after_ms(50)));
    CHECK_LE(atomic_load(&asked), 8); /* what it does not take is not made */
    while ((got = pirn_recv(fd, text, sizeof text, 0, PIRN_NEVER)) > 0)
        n += (size_t)got;
    CHECK_EQ(got, 0);
    CHECK_EQ(atomic_load(&asked), PIPELINED);
    CHECK_GE(n, (size_t)PIPELINED * BIG);
    pirn_close(fd);
    site_close(&site);
    return 0;
}

START_TEST(s171_a_client_that_asks_and_does_not_read_costs_little)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, greedy, NULL));
}
END_TEST

/* ---- Gone ---------------------------------------------------------------------------------- */

struct absence {
    atomic_int begun, ended;
    int result;
};

static int wait_for_ever(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    struct absence *absence = user;
    (void)reply;
    atomic_fetch_add(&absence->begun, 1);
    absence->result = pirn_sleep(PIRN_NEVER);
    CHECK(pirn_http_disconnected(request));
    atomic_fetch_add(&absence->ended, 1);
    return absence->result;
}

static int wait_blocking(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    struct absence *absence = user;
    (void)reply;
    atomic_fetch_add(&absence->begun, 1);
    while (!pirn_http_disconnected(request))
        support_pause_ms(1);
    atomic_fetch_add(&absence->ended, 1);
    return 0;
}

static int wait_a_while(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)user;
    CHECK_OK(pirn_sleep(pirn_after_ms(60)));
    CHECK(!pirn_http_disconnected(request));
    return pirn_http_reply_text(reply, 200, "waited");
}

static int reply_quickly(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_text(reply, 200, "quick");
}

static int gone(void *arg)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    struct site site;
    struct absence coroutine = {0}, thread = {0};
    char text[4096];
    (void)arg;
    config.cancel_time = (pirn_span){5 * MS};
    site_new(&site, &config);
    site_route(&site, "GET", "/ever", wait_for_ever, &coroutine);
    site_route_blocking(&site, "GET", "/block", wait_blocking, &thread);
    site_route(&site, "GET", "/while", wait_a_while, NULL);
    site_route(&site, "GET", "/quick", reply_quickly, NULL);
    site_open(&site);

    int fd = site_dial(&site);
    site_say(fd, "GET /ever HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&coroutine.begun, 1);
    pirn_close(fd);
    support_until(&coroutine.ended, 1);
    CHECK_EQ(coroutine.result, -ECANCELED);

    fd = site_dial(&site); /* the same behind a handler that was quick */
    site_say(fd, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\nGET /ever HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&coroutine.begun, 2);
    pirn_close(fd);
    support_until(&coroutine.ended, 2);

    struct linger reset = {1, 0}; /* the same with a reset, and bytes on the way */
    fd = site_dial(&site);
    site_say(fd, "GET /ever HTTP/1.1\r\nHost: x\r\n\r\nGET /while HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&coroutine.begun, 3);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
    pirn_close(fd);
    support_until(&coroutine.ended, 3);

    fd = site_dial(&site);
    site_say(fd, "GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&thread.begun, 1);
    pirn_close(fd);
    support_until(&thread.ended, 1);

    /* Who sends the next requests meanwhile, and stays, is served. */
    fd = site_dial(&site);
    site_say(fd, "GET /while HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_OK(pirn_sleep(pirn_after_ms(10)));
    site_say(fd, "GET /while HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    site_hear(fd, text, sizeof text);
    const char *first = strstr(text, "waited");
    CHECK(first != NULL && strstr(first + 1, "waited") != NULL);
    pirn_close(fd);
    site_close(&site);
    return 0;
}

START_TEST(s171_a_client_that_goes_cancels_its_handler)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, gone, NULL));
}
END_TEST

SUPPORT_MAIN("http/hostile", s171_too_much_is_told_and_the_connection_closed,
             s171_slow_clients_are_sent_away,
             s171_a_client_that_asks_and_does_not_read_costs_little,
             s171_a_client_that_goes_cancels_its_handler,
             s171_a_thousand_slow_clients_do_not_stop_ten_honest_ones)
