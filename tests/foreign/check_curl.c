/*
 * api/examples/with_curl.h against a server: test_curl.sh starts one and says where it is, and in
 * which folder lies what it serves.
 */
#include "api/examples/with_curl.h"

#include <sys/stat.h>

#include "tests/foreign/peer.h"

/* ---- Bodies ------------------------------------------------------------------------------ */

typedef struct body {
    char *bytes;
    size_t len, room;
} body;

static size_t take(char *data, size_t size, size_t n, void *user)
{
    body *b = user;
    if (b->room < b->len + size * n) {
        b->room = 2 * (b->len + size * n); /* sanitizers move it each time */
        b->bytes = realloc(b->bytes, b->room);
        CHECK(b->bytes != NULL);
    }
    memcpy(b->bytes + b->len, data, size * n);
    b->len += size * n;
    return size * n;
}

static CURL *easy_for(const char *url, body *b)
{
    CURL *easy = curl_easy_init();
    CHECK(easy != NULL);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, b);
    curl_easy_setopt(easy, CURLOPT_CAINFO, getenv("PIRN_CURL_CA"));
    return easy;
}

/* Fetches the file, looks whether it is what lies in the folder, and returns how many connections
 * it took. */
static long fetch(with_curl *http, const char *base, const char *name)
{
    char text[4096];
    body b = {NULL, 0, 0};
    CURLcode code;
    long status, connections;
    void *there;
    size_t n;
    snprintf(text, sizeof(text), "%s/%s", base, name);
    CURL *easy = easy_for(text, &b);
    CHECK_OK(with_curl_perform(http, easy, &code, PIRN_NEVER));
    if (code != CURLE_OK)
        support_fail(__FILE__, __LINE__, __func__, "%s: %s", text, curl_easy_strerror(code));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connections);
    CHECK_EQ(status, 200);
    snprintf(text, sizeof(text), "%s/%s", peer_setting("PIRN_CURL_FOLDER"), name);
    CHECK_OK(pirn_file_load(text, &there, &n, 16 << 20, PIRN_NEVER));
    CHECK_EQ(b.len, n);
    CHECK(n == 0 || memcmp(b.bytes, there, n) == 0);
    free(there);
    free(b.bytes);
    curl_easy_cleanup(easy);
    return connections;
}

enum {
    FETCHERS = 6
};

static int fetcher(void *arg)
{
    static const char *const names[] = {"small", "big", "empty", "middle"};
    with_curl http;
    long connections = 0;
    CHECK_OK(with_curl_open(&http));
    for (int i = 0; i < 8; i++)
        connections += fetch(&http, arg, names[i % 4]);
    CHECK_EQ(connections, 1); /* it is kept */
    with_curl_close(&http);
    return 0;
}

static int fetchers(void *arg)
{
    pirn_task *tasks[FETCHERS];
    for (int i = 0; i < FETCHERS; i++)
        tasks[i] = support_spawn(fetcher, arg);
    for (int i = 0; i < FETCHERS; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(bodies_are_complete)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(peer_run(w, fetchers, (void *)peer_setting("PIRN_CURL_HTTP")));
        CHECK_OK(peer_run(w, fetchers, (void *)peer_setting("PIRN_CURL_HTTPS")));
    }
}
END_TEST

/* ---- Those that are given up --------------------------------------------------------------- */

/* What a transfer from that port of ours came to. */
static int attempt(with_curl *http, int port, CURLcode *ret_code, pirn_time deadline)
{
    char url[64];
    body b = {NULL, 0, 0};
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    CURL *easy = easy_for(url, &b);
    int rc = with_curl_perform(http, easy, ret_code, deadline);
    curl_easy_cleanup(easy);
    free(b.bytes);
    return rc;
}

/* Given up; then the same handle fetches something else. */
static int to_silence(void *arg)
{
    with_curl http;
    CURLcode code;
    CHECK_OK(with_curl_open(&http));
    int rc = attempt(&http, *(int *)arg, &code, PIRN_NEVER);
    CHECK_LE(fetch(&http, peer_setting("PIRN_CURL_HTTP"), "small"), 1);
    with_curl_close(&http);
    return rc;
}

static atomic_int halves; /* how often somebody got half an answer */

/* Sends half an answer, and no more until it is told. */
static int half_a_server(void *arg)
{
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    int fd = pirn_accept(*(int *)arg, NULL, NULL, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_EQ(pirn_send(fd, half, sizeof(half) - 1, 0, PIRN_NEVER), sizeof(half) - 1);
    atomic_fetch_add(&halves, 1);
    int rc = pirn_sleep(PIRN_NEVER);
    pirn_close(fd);
    return rc;
}

static int given_up(void *arg)
{
    int fds[3], silent = peer_silent(&fds[0]), closed = peer_closed(&fds[1]),
                half = peer_silent(&fds[2]);
    with_curl http;
    CURLcode code = CURLE_OK;
    (void)arg;
    atomic_store(&halves, 0);
    CHECK_OK(with_curl_open(&http));
    pirn_time deadline = pirn_after_ms(SHORT_MS);
    CHECK_EQ(attempt(&http, silent, &code, deadline), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, deadline.ns);
    CHECK_EQ(attempt(&http, silent, &code, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(attempt(&http, closed, &code, PIRN_NEVER));
    CHECK_EQ(code, CURLE_COULDNT_CONNECT);

    pirn_task *server = support_spawn(half_a_server, &fds[2]);
    deadline = pirn_after_ms(SHORT_MS);
    CHECK_EQ(attempt(&http, half, &code, deadline), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, deadline.ns);
    support_until(&halves, 1);
    CHECK_OK(pirn_cancel(server, NULL));
    CHECK_EQ(support_join(server), -ECANCELED);
    server = support_spawn(half_a_server, &fds[2]);
    pirn_task *client = support_spawn(to_silence, &half);
    support_until(&halves, 2);
    CHECK_OK(pirn_cancel(client, NULL));
    CHECK_EQ(support_join(client), -ECANCELED);
    CHECK_OK(pirn_cancel(server, NULL));
    CHECK_EQ(support_join(server), -ECANCELED);

    with_curl_close(&http);
    peer_crowd(to_silence, &silent);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    return 0;
}

START_TEST(transfers_are_given_up)
{
    support_census before = support_count();
    peer_everywhere(given_up);
    support_no_more_than(before);
}
END_TEST

/* ---- libcurl's timers ------------------------------------------------------------------------ */

/* Its own timeout is its own error; and a transfer that is slowed down by it needs its timers. */
static int timers(void *arg)
{
    int fd, silent = peer_silent(&fd);
    char url[4096];
    body b = {NULL, 0, 0};
    with_curl http;
    CURLcode code;
    (void)arg;
    CHECK_OK(with_curl_open(&http));
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", silent);
    CURL *easy = easy_for(url, &b);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 100L);
    int64_t begun = pirn_now().ns;
    CHECK_OK(with_curl_perform(&http, easy, &code, PIRN_NEVER));
    CHECK_EQ(code, CURLE_OPERATION_TIMEDOUT);
    CHECK_GE(pirn_now().ns - begun, 99 * MS);
    snprintf(url, sizeof(url), "%s/middle", peer_setting("PIRN_CURL_HTTP"));
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 0L);
    curl_easy_setopt(easy, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)400000);
    CHECK_OK(with_curl_perform(&http, easy, &code, PIRN_NEVER));
    CHECK_EQ(code, CURLE_OK);
    CHECK_EQ(b.len, 100000);
    curl_easy_cleanup(easy);
    free(b.bytes);
    with_curl_close(&http);
    close(fd);
    return 0;
}

START_TEST(libcurls_timers_come)
{
    peer_everywhere(timers);
}
END_TEST

static void __attribute__((constructor)) prepare(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

SUPPORT_MAIN("curl", bodies_are_complete, transfers_are_given_up, libcurls_timers_come)
