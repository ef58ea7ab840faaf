/*
 * Lookups that are stopped: by a deadline, a cancel, the end of the runtime; and what goes on
 * meanwhile.
 */
#include "tests/net/dns.h"

#include <sys/resource.h>

static dns server;

static int look_up(void *arg)
{
    const char *host = arg;
    pirn_resolve_config config = dns_config(&server);
    pirn_address *list = NULL;
    int rc = pirn_resolve(host, "1", &config, &list, PIRN_NEVER);
    CHECK_EQ(rc > 0, list != NULL);
    pirn_addresses_free(list);
    return rc;
}

static char held[] = "held.test", mute[] = "mute.test";

/* ---- S138: a slow name stops nobody else ----------------------------------------------------- */

static int beside_a_slow_name(void *arg)
{
    pirn_ticker ticker;
    int seen = atomic_load(&server.held);
    (void)arg;
    CHECK_OK(pirn_event_clear(&server.release));
    pirn_task *task = support_spawn(look_up, held);
    support_until(&server.held, seen + 1);
    CHECK_OK(pirn_ticker_init(&ticker, (pirn_span){MS}, PIRN_MISSED_BURST));
    for (int i = 0; i < 20; i++)
        CHECK_EQ(pirn_ticker_wait(&ticker), 0);
    CHECK(!pirn_done(task));
    CHECK_OK(pirn_event_set(&server.release));
    CHECK_EQ(support_join(task), 1);

    /* A second, scaled: the answer comes by itself. */
    char slow[] = "slow-50.test";
    pirn_time begun = pirn_now();
    task = support_spawn(look_up, slow);
    while (!pirn_done(task))
        CHECK_GE(pirn_ticker_wait(&ticker), 0);
    CHECK_EQ(support_join(task), 1);
    CHECK_GE(pirn_now().ns - begun.ns, 50 * MS);
    return 0;
}

START_TEST(s138_a154_a_slow_name_stops_nobody_else)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_a_slow_name, NULL));
}
END_TEST

/* ---- A154: deadlines and cancels ------------------------------------------------------------- */

static void deadlines(void)
{
    pirn_resolve_config config = dns_config(&server);
    pirn_address *list = NULL;
    int before = dns_sockets();
    for (int i = 0; i < 3; i++) {
        pirn_time until = pirn_after_ms(2 * i);
        CHECK_EQ(pirn_resolve(mute, "1", &config, &list, until), -ETIMEDOUT);
        CHECK_GE(pirn_now().ns, until.ns);
    }
    CHECK_EQ(pirn_resolve(mute, "1", &config, &list, PIRN_NOW), -ETIMEDOUT);
    CHECK(list == NULL);
    CHECK_EQ(dns_sockets(), before);
}

START_TEST(a154_a_deadline_ends_it)
{
    support_everywhere(deadlines);
}
END_TEST

static int cancelled(void *arg)
{
    pirn_task *tasks[10];
    (void)arg;
    CHECK_OK(pirn_event_clear(&server.release));
    int before = dns_sockets();
    int seen = atomic_load(&server.held);
    for (int i = 0; i < 10; i++)
        tasks[i] = support_spawn(look_up, held);
    support_until(&server.held, seen + 10);
    for (int i = 0; i < 10; i++)
        CHECK_OK(pirn_cancel(tasks[i], "no longer wanted"));
    for (int i = 0; i < 10; i++)
        CHECK_EQ(support_join(tasks[i]), -ECANCELED);
    CHECK_EQ(dns_sockets(), before);
    CHECK_OK(pirn_event_set(&server.release));
    CHECK_EQ(look_up(held), 1);
    return 0;
}

START_TEST(a154_a_cancel_leaves_nothing)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancelled, NULL));
}
END_TEST

/* A cancel of its own that is there already: nobody is asked. */
static int cancelled_before(void *arg)
{
    (void)arg;
    int questions = atomic_load(&server.questions);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(look_up((void *)"127.0.0.1"), -ECANCELED); /* not even a number */
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(look_up(held), -ECANCELED);
    CHECK_EQ(atomic_load(&server.questions), questions);
    return 0;
}

START_TEST(a_pending_cancel_comes_first)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancelled_before, NULL));
}
END_TEST

/* ---- The runtime ends, with lookups under way ------------------------------------------------ */

static int leaves_lookups_behind(void *arg)
{
    (void)arg;
    int seen = atomic_load(&server.held);
    for (int i = 0; i < 20; i++)
        pirn_detach(support_spawn(look_up, i % 2 ? held : mute));
    support_until(&server.held, seen + 10);
    return 7;
}

START_TEST(a154_the_runtime_ends_meanwhile)
{
    int before = dns_sockets();
    CHECK_OK(pirn_event_clear(&server.release));
    FOR_WORKERS(w)
    CHECK_EQ(support_run(w, leaves_lookups_behind, NULL), 7);
    CHECK_EQ(dns_sockets(), before);
    CHECK_OK(pirn_event_set(&server.release));
}
END_TEST

/* ---- A154: the files are read on the pool, whose only thread is taken ------------------------ */

static atomic_int taken, give_back;

static int take(void *arg)
{
    (void)arg;
    atomic_store(&taken, 1);
    support_until(&give_back, 1);
    return 0;
}

static int take_thread(void *arg)
{
    (void)arg;
    return pirn_blocking(take, NULL, NULL, PIRN_NEVER);
}

static int without_a_thread(void *arg)
{
    static char host[] = "addr-1.test";
    pirn_resolve_config config = dns_config(&server);
    pirn_address *list = NULL;
    (void)arg;
    atomic_store(&taken, 0);
    atomic_store(&give_back, 0);
    pirn_task *taker = support_spawn(take_thread, NULL);
    support_until(&taken, 1);
    int questions = atomic_load(&server.questions);
    CHECK_EQ(pirn_resolve("127.0.0.1", NULL, &config, &list, PIRN_NOW), 1); /* asks nobody */
    pirn_addresses_free(list);
    CHECK_EQ(pirn_resolve(host, NULL, &config, &list, pirn_after_ms(1)), -ETIMEDOUT);
    pirn_task *task = support_spawn(look_up, host);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_EQ(atomic_load(&server.questions), questions);
    task = support_spawn(look_up, host);
    support_until_waiting(task);
    atomic_store(&give_back, 1);
    CHECK_EQ(support_join(task), 1);
    CHECK_OK(support_join(taker));
    return 0;
}

START_TEST(a154_its_files_hold_up_no_worker)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.max_blocking = 1;
        CHECK_OK(support_run_with(&config, without_a_thread, NULL));
    }
}
END_TEST

/* ---- No descriptors left --------------------------------------------------------------------- */

static void without_descriptors(void)
{
    static char host[] = "addr-1.test";
    struct rlimit limit, none;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    none = limit;
    none.rlim_cur = 0;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
    int rc = look_up(host), number = look_up((void *)"127.0.0.1");
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_EQ(rc, -EMFILE);
    CHECK_EQ(number, 1);
    CHECK_EQ(look_up(host), 1);
}

START_TEST(without_descriptors_it_says_so)
{
    support_everywhere(without_descriptors);
}
END_TEST

/* ---- An answer and a cancel at the same moment ----------------------------------------------- */

static int raced(void *arg)
{
    static char host[] = "addr-1.test";
    int rounds = support_rounds(1000), came = 0, gone = 0;
    int64_t skew = 0;
    (void)arg;
    int before = dns_sockets();
    for (int i = 0; i < rounds || ((came == 0 || gone == 0) && i < 100 * rounds); i++) {
        pirn_task *task = support_spawn(look_up, host);
        if (i % 8 != 0) /* else at once: a sleep may last longer than any answer takes */
            CHECK_OK(pirn_sleep(pirn_after_ns(skew + support_between(0, 20 * US))));
        pirn_cancel(task, NULL);
        int rc = support_join(task);
        CHECK(rc == 1 || rc == -ECANCELED);
        came += rc == 1;
        gone += rc != 1;
        if (i % 8 == 0)
            continue;
        skew += rc == 1 ? -skew / 8 - US : skew / 8 + 5 * US; /* towards where both are likely */
        skew = skew < 0 ? 0 : skew;
    }
    CHECK(came > 0 && gone > 0);
    CHECK_EQ(dns_sockets(), before);
    return 0;
}

START_TEST(a154_raced_by_a_cancel)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, raced, NULL));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {s138_a154_a_slow_name_stops_nobody_else,
                            a154_a_deadline_ends_it,
                            a154_a_cancel_leaves_nothing,
                            a_pending_cancel_comes_first,
                            a154_the_runtime_ends_meanwhile,
                            a154_raced_by_a_cancel,
                            a154_its_files_hold_up_no_worker,
                            without_descriptors_it_says_so};
    dns_begin(&server);
    if (!dns_can_be_asked(&server)) {
        fprintf(stderr, "this build has no c-ares: see test_resolve_thread.c\n");
        dns_end(&server);
        return 77;
    }
    int rc = support_main("resolve_end", tests, sizeof(tests) / sizeof(tests[0]));
    dns_end(&server);
    return rc;
}
