/* The server's end: running requests finish, idle connections do not hold it up, the rest is
 * cancelled. */
#include "api/http/server.h"
#include "tests/http/site.h"

#include <poll.h>

struct visit {
    atomic_int begun, go, result;
};

static int wait_for_go(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    struct visit *visit = user;
    (void)request;
    atomic_fetch_add(&visit->begun, 1);
    while (atomic_load(&visit->go) == 0) {
        int rc = pirn_sleep(pirn_after_ms(1));
        atomic_store(&visit->result, rc);
        if (rc < 0)
            return rc;
    }
    return pirn_http_reply_text(reply, 200, "finished");
}

static int take_no_notice(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    struct visit *visit = user;
    (void)request;
    atomic_fetch_add(&visit->begun, 1);
    while (atomic_load(&visit->go) == 0)
        pirn_sleep(pirn_after_ms(1));
    return pirn_http_reply_text(reply, 200, "finished");
}

/* Once the server listens no more: its socket is closed before anything else is ended. */
static void until_refused(const struct site *site)
{
    struct sockaddr_in addr = {0};
    addr.sin_family = AF_INET;
    addr.sin_port = htons((uint16_t)site->port);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (;;) {
        int fd = support_socket();
        int rc = pirn_connect(fd, (struct sockaddr *)&addr, sizeof addr, PIRN_NEVER);
        pirn_close(fd);
        if (rc == -ECONNREFUSED)
            return;
    }
}

/* Once it serves: a task that is cancelled before it has begun never does, and stops nothing. */
static void cancel_serving(const struct site *site)
{
    support_until_waiting(site->task);
    CHECK_OK(pirn_cancel(site->task, "enough"));
}

static int finish_running(void *arg)
{
    struct site site;
    struct visit visit = {0};
    char text[1024];
    const bool by_cancel = *(bool *)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", wait_for_go, &visit);
    site_open(&site);
    int idle = site_dial(&site), used = site_dial(&site), busy = site_dial(&site);
    site_say(used, "GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
    site_hear_words(used, text, sizeof text, "Not Found", 2);
    site_say(busy, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&visit.begun, 1);
    if (by_cancel)
        cancel_serving(&site);
    else
        site_end(&site, pirn_span_s(1000));
    CHECK_EQ(site_hear(idle, text, sizeof text), 0);
    CHECK_EQ(site_hear(used, text, sizeof text), 0);
    until_refused(&site);
    CHECK(!pirn_done(site.task));
    atomic_store(&visit.go, 1);
    site_hear(busy, text, sizeof text);
    CHECK(strstr(text, "\r\nConnection: close\r\n\r\nfinished") != NULL);
    pirn_close(busy);
    CHECK_EQ(support_join(site.task), 0);
    CHECK_EQ(site.result, by_cancel ? -ECANCELED : 0);
    CHECK_OK(site.stopped);
    CHECK_EQ(atomic_load(&visit.result), 0);
    pirn_close(idle);
    pirn_close(used);
    pirn_http_server_release(site.server);
    return 0;
}

START_TEST(s172_running_requests_finish)
{
    bool by_cancel = false;
    FOR_WORKERS(w) CHECK_OK(support_run(w, finish_running, &by_cancel));
}
END_TEST

START_TEST(s172_a_cancel_is_a_graceful_stop)
{
    bool by_cancel = true;
    FOR_WORKERS(w) CHECK_OK(support_run(w, finish_running, &by_cancel));
}
END_TEST

enum {
    LEAST = 64 * 1024,
    MOST = 512 * 1024
};

static int give(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    static const char zeros[MOST];
    (void)request;
    return pirn_http_reply_bytes(reply, 200, NULL, zeros, *(size_t *)user);
}

struct meeting {
    pirn_http_server *server;
    int fd;
};

static int serve_one_end(void *arg)
{
    struct meeting *meeting = arg;
    pirn_stream *stream;
    CHECK_OK(pirn_stream_new(&stream, meeting->fd, NULL));
    int rc = pirn_http_server_serve_stream(meeting->server, stream);
    pirn_stream_release(stream);
    return rc;
}

static int state_of(pirn_http_server *server)
{
    pthread_mutex_lock(&server->lock);
    int state = server->connections != NULL ? atomic_load(&server->connections->state) : -1;
    pthread_mutex_unlock(&server->lock);
    return state;
}

/* The handler is through, its client has read nothing, and what the socket does not take is in the
 * stream: with some sizes the connection is idle then, with larger ones still busy. */
static int finish_sending(void *arg)
{
    static char text[MOST + 1024];
    int idle = 0;
    (void)arg;
    for (size_t size = LEAST; size <= MOST; size += 32 * 1024) {
        struct site site;
        int pair[2];
        site_new(&site, NULL);
        site_route(&site, "GET", "/", give, &size);
        site_open(&site);
        support_pair(pair);
        struct meeting meeting = {site.server, pair[0]};
        pirn_task *task = support_spawn(serve_one_end, &meeting);
        site_say(pair[1], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        CHECK_EQ(pirn_poll(pair[1], POLLIN, PIRN_NEVER), POLLIN);
        bool fits = size == LEAST; /* into the socket */
        for (int i = 0; (fits || i < 20) && state_of(site.server) != CONNECTION_IDLE; i++)
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        idle += state_of(site.server) == CONNECTION_IDLE;
        site_end(&site, pirn_span_s(1000));
        until_refused(&site);
        CHECK_GE(site_hear(pair[1], text, sizeof text), size);
        pirn_close(pair[1]);
        CHECK_OK(support_join(task));
        CHECK_OK(support_join(site.task));
        CHECK_OK(site.result);
        pirn_http_server_release(site.server);
    }
    CHECK_GE(idle, 1);
    return 0;
}

START_TEST(s172_a_reply_on_its_way_arrives)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, finish_sending, NULL));
}
END_TEST

/* Requests that take longer than cancel_time get names. */
static void until_named(const struct site *site, int requests)
{
    int named;
    do {
        named = 0;
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        pthread_mutex_lock(&site->server->lock);
        for (struct connection *c = site->server->connections; c != NULL; c = c->next)
            named += c->label != NULL;
        pthread_mutex_unlock(&site->server->lock);
    } while (named < requests);
}

static int cancel_the_rest(void *arg)
{
    struct site site;
    struct visit visit = {0}, stubborn = {0};
    char text[1024];
    const bool twice = *(bool *)arg; /* a second cancel in place of a short grace */
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    config.grace = pirn_span_ms(100);
    site_new(&site, &config);
    site_route(&site, "GET", "/soft", wait_for_go, &visit);
    site_route(&site, "GET", "/hard", take_no_notice, &stubborn);
    site_open(&site);
    int soft = site_dial(&site), hard = site_dial(&site);
    site_say(soft, "GET /soft HTTP/1.1\r\nHost: x\r\n\r\n");
    site_say(hard, "GET /hard?x HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&visit.begun, 1);
    support_until(&stubborn.begun, 1);
    until_named(&site, 2);
    if (twice) {
        cancel_serving(&site);
        until_refused(&site);
        CHECK(!pirn_done(site.task));
        CHECK_OK(pirn_cancel(site.task, "enough, I say"));
    } else {
        site_end(&site, pirn_span_ms(20));
    }
    CHECK_EQ(site_hear(soft, text, sizeof text), 0);
    CHECK_EQ(atomic_load(&visit.result), -ECANCELED);
    while (support_reported(&site.report, "GET /hard?x goes on") == 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(10)));
    CHECK_EQ(support_reported(&site.report, "/soft"), 0);
    CHECK(!pirn_done(site.task));
    atomic_store(&stubborn.go, 1);
    pirn_close(hard);
    CHECK_OK(support_join(site.task));
    CHECK_EQ(site.result, twice ? -ECANCELED : 0);
    CHECK_EQ(site.stopped, -EBUSY);
    CHECK_EQ(site.cancelled, twice);
    pirn_close(soft);
    pirn_http_server_release(site.server);
    return 0;
}

START_TEST(s172_after_the_grace_the_rest_is_cancelled_and_named)
{
    bool twice = false;
    FOR_WORKERS(w) CHECK_OK(support_run(w, cancel_the_rest, &twice));
}
END_TEST

START_TEST(s172_a_second_cancel_cuts_the_grace_short)
{
    bool twice = true;
    FOR_WORKERS(w) CHECK_OK(support_run(w, cancel_the_rest, &twice));
}
END_TEST

/* Clients that come, ask and go while the server ends; one of its handlers waits until it is
 * cancelled. */
struct crowd {
    struct site site;
    atomic_bool over;
    atomic_int answered;
};

static int come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)crowd->site.port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[512];
    while (!atomic_load(&crowd->over)) {
        int fd = support_socket();
        if (pirn_connect(fd, (struct sockaddr *)&addr, sizeof(addr), PIRN_NEVER) == 0 &&
            pirn_send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, 0, PIRN_NEVER) == 27 &&
            pirn_recv(fd, text, sizeof(text), 0, PIRN_NEVER) > 0)
            atomic_fetch_add(&crowd->answered, 1);
        pirn_close(fd);
    }
    return 0;
}

static int never_answer(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request, (void)user;
    int rc = pirn_sleep(support_between(0, 3) == 0 ? PIRN_NEVER : PIRN_NOW);
    return rc < 0 ? rc : pirn_http_reply_text(reply, 200, "ok");
}

static int stop_in_a_crowd(void *arg)
{
    struct crowd crowd = {0};
    pirn_task *tasks[8];
    const pirn_span grace = {*(int64_t *)arg};
    site_new(&crowd.site, NULL);
    site_route(&crowd.site, "GET", "/", never_answer, NULL);
    site_open(&crowd.site);
    for (int i = 0; i < 8; i++)
        tasks[i] = support_spawn(come_and_go, &crowd);
    support_until(&crowd.answered, 4);
    site_end(&crowd.site, grace);
    CHECK_OK(support_join(crowd.site.task));
    CHECK_OK(crowd.site.result);
    CHECK_EQ(pirn_http_server_connections(crowd.site.server), 0);
    atomic_store(&crowd.over, true);
    for (int i = 0; i < 8; i++)
        CHECK_OK(support_join(tasks[i]));
    pirn_http_server_release(crowd.site.server);
    return 0;
}

START_TEST(s172_race_of_a_stop_and_clients)
{
    for (int i = support_rounds(10); i > 0; i--) {
        int64_t grace = support_between(0, 2) * MS;
        FOR_WORKERS(w) CHECK_OK(support_run(w, stop_in_a_crowd, &grace));
    }
}
END_TEST

/* Its listening socket is of no more use: it ends, gracefully, and says why. */
static int listener_fails(void *arg)
{
    struct site site;
    struct visit visit = {0};
    char text[1024];
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "GET", "/", wait_for_go, &visit);
    int listener = pirn_listen("127.0.0.1", NULL, NULL, PIRN_NEVER);
    CHECK_OK(pirn_http_server_add(site.server, listener));
    site.port = pirn_local_port(listener);
    site.task = support_spawn_named("server", site_serve, &site);
    int fd = site_dial(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&visit.begun, 1);
    CHECK_OK(shutdown(listener, SHUT_RD));
    until_refused(&site);
    CHECK(!pirn_done(site.task));
    atomic_store(&visit.go, 1);
    site_hear(fd, text, sizeof text);
    CHECK(strstr(text, "\r\n\r\nfinished") != NULL);
    pirn_close(fd);
    CHECK_OK(support_join(site.task));
    CHECK_EQ(site.result, -EINVAL);
    pirn_http_server_release(site.server);
    return 0;
}

START_TEST(s172_a_listener_that_fails)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, listener_fails, NULL));
}
END_TEST

/* It goes on after its last handle, and is freed by whoever leaves last (AddressSanitizer
 * looks). */
static int released_first(void *arg)
{
    struct site site;
    static struct visit visit; /* that a handler is through with it is heard over a socket alone */
    char text[1024];
    (void)arg;
    atomic_store(&visit.begun, 0);
    atomic_store(&visit.go, 0);
    site_new(&site, NULL);
    site_route(&site, "GET", "/", wait_for_go, &visit);
    CHECK_OK(pirn_http_server_listen(site.server, "127.0.0.1", NULL, NULL, PIRN_NEVER));
    CHECK_OK(pirn_http_server_listen(site.server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    pirn_address second;
    site.port = pirn_http_server_port(site.server);
    CHECK_OK(pirn_http_server_address(site.server, 1, &second));
    int idle = site_dial(&site);
    CHECK_GE(site.port, 1);
    site.port = ntohs(second.addr.in.sin_port);
    int busy = site_dial(&site);
    site_say(busy, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&visit.begun, 1);
    while (pirn_http_server_connections(site.server) < 2)
        CHECK_OK(pirn_yield());
    pirn_http_server_release(site.server);
    CHECK_EQ(site_hear(idle, text, sizeof text), 0);
    until_refused(&site);
    atomic_store(&visit.go, 1);
    site_hear(busy, text, sizeof text);
    CHECK(strstr(text, "\r\nConnection: close\r\n\r\nfinished") != NULL);
    pirn_close(busy);
    pirn_close(idle);
    return 0;
}

START_TEST(s172_release_ends_idle_connections_alone)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, released_first, NULL));
}
END_TEST

static int misuse(void *arg)
{
    struct site site;
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    pirn_http_server *server;
    (void)arg;
    config.max_head = 65537;
    CHECK_EQ(pirn_http_server_new(&server, &config), -EINVAL);
    config.max_head = 0;
    config.size--;
    CHECK_EQ(pirn_http_server_new(&server, &config), -EINVAL);
    site_new(&site, NULL);
    CHECK_EQ(pirn_http_server_route(site.server, "GET", "/", NULL, NULL, NULL), -EINVAL);
    CHECK_LE(pirn_http_server_listen(site.server, "no address", NULL, NULL, PIRN_NEVER), -1);
    CHECK_EQ(pirn_http_server_add(site.server, 0), -ENOTSOCK);
    CHECK_EQ(pirn_http_server_port(site.server), -ENOENT);
    struct visit visit = {0};
    site_route(&site, "GET", "/", wait_for_go, &visit);
    site_open(&site);
    int fd = site_dial(&site);
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    support_until(&visit.begun, 1);
    CHECK_EQ(pirn_http_server_route(site.server, "GET", "/b", wait_for_go, NULL, NULL), -EBUSY);
    atomic_store(&visit.go, 1);
    pirn_close(fd);
    pirn_http_server_retain(site.server);
    site_close(&site);
    CHECK_OK(pirn_http_server_stop(site.server, PIRN_NEVER)); /* again */
    CHECK_EQ(pirn_http_server_serve(site.server), -ESHUTDOWN);
    CHECK_EQ(pirn_http_server_listen(site.server, NULL, NULL, NULL, PIRN_NEVER), -ESHUTDOWN);
    pirn_http_server_release(site.server);
    return 0;
}

START_TEST(s172_what_is_refused)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, misuse, NULL));
}
END_TEST

SUPPORT_MAIN("http/stop", s172_running_requests_finish, s172_a_reply_on_its_way_arrives,
             s172_a_cancel_is_a_graceful_stop, s172_after_the_grace_the_rest_is_cancelled_and_named,
             s172_a_second_cancel_cuts_the_grace_short, s172_what_is_refused,
             s172_race_of_a_stop_and_clients, s172_a_listener_that_fails,
             s172_release_ends_idle_connections_alone)
