/* wraps pirn_stack_get */
/*
 * A watch that has gone off and gets no stack holds up nobody: who waits for it may have the very
 * one that it lacks.
 */
#include "tests/http/site.h"

#include "runtime/stack.h"

static atomic_bool short_of_stacks;
static atomic_int refused;

int __real_pirn_stack_get(struct stack_pool *pool, struct stack_cache *cache, size_t size,
                          struct stack **ret_stack);
int __wrap_pirn_stack_get(struct stack_pool *pool, struct stack_cache *cache, size_t size,
                          struct stack **ret_stack);

int __wrap_pirn_stack_get(struct stack_pool *pool, struct stack_cache *cache, size_t size,
                          struct stack **ret_stack)
{
    if (!atomic_load(&short_of_stacks))
        return __real_pirn_stack_get(pool, cache, size, ret_stack);
    atomic_fetch_add(&refused, 1);
    return -ENOMEM;
}

/* Until its watch has gone off, and got no stack. */
static int slow(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    int seen = atomic_load(&refused);
    while (atomic_load(&short_of_stacks) && atomic_load(&refused) == seen)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    return pirn_http_reply_text(reply, 200, "here");
}

static void ask(int fd)
{
    char text[512];
    site_say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    site_hear_words(fd, text, sizeof(text), "here", 1);
}

/* ends: the connection does before its watch has begun, so that frees it. */
static void short_once(const struct site *site, bool ends)
{
    int fd = site_dial(site);
    ask(fd); /* its task is there */
    atomic_store(&short_of_stacks, true);
    ask(fd);
    ask(fd); /* the next one is not watched */
    if (ends) {
        CHECK_OK(shutdown(fd, SHUT_WR));
        while (pirn_http_server_connections(site->server) > 0)
            CHECK_OK(pirn_yield());
    }
    atomic_store(&short_of_stacks, false);
    for (int i = 0; i < 3 && !ends; i++) {
        CHECK_OK(pirn_sleep(pirn_after_ms(5)));
        ask(fd);
    }
    pirn_close(fd);
}

static int run_short(void *arg)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    struct site site;
    (void)arg;
    config.cancel_time = pirn_span_ms(1);
    site_new(&site, &config);
    site_route(&site, "GET", "/", slow, NULL);
    site_open(&site);
    for (int i = 0; i < support_rounds(20); i++)
        short_once(&site, i % 2 == 0);
    site_close(&site);
    return 0;
}

START_TEST(a_watch_without_a_stack_holds_up_nobody)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, run_short, NULL));
}
END_TEST

SUPPORT_MAIN("http/watch", a_watch_without_a_stack_holds_up_nobody)
