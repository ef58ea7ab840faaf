/* Connecting to the first of several addresses that answers. */
#include "tests/net/place.h"

#include <sys/resource.h>

/* ---- A154: each in turn, and what was wrong with each ---------------------------------------- */

static void in_turn(void)
{
    place p;
    attempt a;
    pirn_address list[5];
    open_place(&p, "---l-");
    for (int i = 0; i < 5; i++)
        list[i] = loopback(&p, i + 2);
    attempt_init(&a);
    int fd = pirn_connect_any(list, 5, &a.config, PIRN_NEVER);
    check_plain(fd);
    CHECK(is_connected_to(fd, &list[3]));
    CHECK_EQ(a.count, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(a.errors[i].status, -ECONNREFUSED);
        CHECK_EQ(last_byte(&a.errors[i].address), i + 2);
    }
    close(fd);

    a.config.errors_max = 1; /* room for one; the others are counted */
    memset(a.errors, 0, sizeof(a.errors));
    CHECK_EQ(pirn_connect_any(list, 3, &a.config, PIRN_NEVER), -ECONNREFUSED);
    CHECK_EQ(a.count, 3);
    CHECK_EQ(a.errors[0].status, -ECONNREFUSED);
    CHECK_EQ(a.errors[1].status, 0);

    /* "No way there" is told only if there is nothing else to tell. */
    attempt_init(&a);
    list[0].addr.any.sa_family = AF_UNIX;
    CHECK_EQ(pirn_connect_any(list, 2, &a.config, PIRN_NEVER), -ECONNREFUSED);
    CHECK_EQ(a.count, 2);
    CHECK_EQ(a.errors[0].status, -EAFNOSUPPORT);
    CHECK_EQ(pirn_connect_any(list, 1, NULL, PIRN_NEVER), -EAFNOSUPPORT);
    CHECK_EQ(pirn_connect_any(list, 0, &a.config, PIRN_NEVER), -EINVAL);
    CHECK_EQ(a.count, 0);
    a.config.size--;
    CHECK_EQ(pirn_connect_any(list, 1, &a.config, PIRN_NEVER), -EINVAL);
    close_place(&p);
}

START_TEST(a154_each_address_in_turn)
{
    support_everywhere(in_turn);
}
END_TEST

/* ---- Happy eyeballs -------------------------------------------------------------------------- */

/* The first hangs: the second is begun after the head start, wins, and nothing is left of the
 * first. */
static void past_a_hanging_one(void)
{
    place p;
    attempt a;
    open_place(&p, "hhl");
    pirn_address list[] = {loopback(&p, 2), loopback(&p, 3), loopback(&p, 4)};
    int sockets = dns_sockets();
    attempt_init(&a);
    a.config.stagger = (pirn_span){5 * MS};
    pirn_time begun = pirn_now();
    int fd = pirn_connect_any(list, 3, &a.config, PIRN_NEVER);
    check_plain(fd);
    CHECK(is_connected_to(fd, &list[2]));
    CHECK_GE(pirn_now().ns - begun.ns, 10 * MS);
    CHECK_EQ(dns_sockets(), sockets + 1);
    CHECK_EQ(a.count, 2);
    CHECK_EQ(a.errors[0].status, -ECANCELED);
    CHECK_EQ(a.errors[1].status, -ECANCELED);
    close(fd);

    /* A failure does not wait for the head start; nor does what comes after it. */
    pirn_address refused = list[2];
    refused.addr.in.sin_port = htons(1);
    pirn_address others[] = {refused, refused, list[2]};
    a.config.stagger = (pirn_span){3600000 * MS};
    fd = pirn_connect_any(others, 3, &a.config, PIRN_NEVER);
    check_plain(fd);
    close(fd);

    /* The first one answers while the second has its turn: both may have been begun. */
    attempt_init(&a);
    pirn_address same[] = {list[2], list[2]};
    a.config.stagger = (pirn_span){1};
    fd = pirn_connect_any(same, 2, &a.config, PIRN_NEVER);
    check_plain(fd);
    CHECK_EQ(dns_sockets(), sockets + 1);
    close(fd);
    close_place(&p);
}

START_TEST(a154_a_hanging_address_is_passed_over)
{
    support_everywhere(past_a_hanging_one);
}
END_TEST

/* Behind one that hangs, two thousand that fail at once: none of them has a head start. */
static void at_once(void)
{
    enum {
        MANY = 2000
    };
    static pirn_address list[MANY + 2];
    place p;
    attempt a;
    open_place(&p, "hl");
    list[0] = loopback(&p, 2);
    list[MANY + 1] = loopback(&p, 3);
    list[1] = at("224.0.0.1", p.port); /* no TCP to a group */
    for (int i = 2; i <= MANY; i++)
        list[i] = list[1];
    attempt_init(&a);
    a.config.stagger = (pirn_span){20 * MS};
    int fd = pirn_connect_any(list, MANY + 2, &a.config, pirn_after_s(20));
    check_plain(fd);
    CHECK(is_connected_to(fd, &list[MANY + 1]));
    CHECK_EQ(a.count, MANY + 1);
    close(fd);
    close_place(&p);
}

START_TEST(a154_what_fails_at_once_is_passed_over_at_once)
{
    support_everywhere(at_once);
}
END_TEST

/* Families alternate, beginning with the first one's: seen in the order of the refusals. */
static void families_alternate(void)
{
    static const int order[] = {6, 4, 6, 4, 4};
    attempt a;
    pirn_address list[] = {at("::1", 1), at("::1", 1), at("127.0.0.1", 1), at("127.0.0.2", 1),
                           at("127.0.0.3", 1)};
    attempt_init(&a);
    CHECK_LE(pirn_connect_any(list, 5, &a.config, PIRN_NEVER), -1);
    CHECK_EQ(a.count, 5);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(a.errors[i].address.addr.any.sa_family, order[i] == 6 ? AF_INET6 : AF_INET);
    CHECK_EQ(last_byte(&a.errors[1].address), 1);
    CHECK_EQ(last_byte(&a.errors[3].address), 2);
    CHECK_EQ(last_byte(&a.errors[4].address), 3);
}

START_TEST(a154_families_alternate)
{
    support_everywhere(families_alternate);
}
END_TEST

/* ---- Deadlines, cancels ---------------------------------------------------------------------- */

static place hanging;

static void deadlines(void)
{
    attempt a;
    pirn_address list[] = {loopback(&hanging, 2), loopback(&hanging, 3)};
    int sockets = dns_sockets();
    attempt_init(&a);
    a.config.stagger = (pirn_span){MS};
    pirn_time until = pirn_after_ms(8);
    CHECK_EQ(pirn_connect_any(list, 2, &a.config, until), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, until.ns);
    CHECK_GE(a.count, 1);
    CHECK_EQ(a.errors[0].status, -ETIMEDOUT);
    CHECK_EQ(pirn_connect_any(list, 2, &a.config, PIRN_NOW), -ETIMEDOUT);
    CHECK_GE(a.count, 1);
    CHECK_EQ(dns_sockets(), sockets);
}

static int connect_hanging(void *arg)
{
    attempt *a = arg;
    pirn_address list[] = {loopback(&hanging, 2), loopback(&hanging, 3)};
    return pirn_connect_any(list, 2, &a->config, PIRN_NEVER);
}

/* Half-open sockets are closed on a cancel. */
static int cancels(void *arg)
{
    int sockets = dns_sockets();
    (void)arg;
    for (int i = 0; i < 10; i++) {
        attempt a;
        attempt_init(&a);
        a.config.stagger = (pirn_span){i % 2 ? 1 : 3600000 * MS};
        pirn_task *task = support_spawn(connect_hanging, &a);
        while (dns_sockets() < sockets + 1 + i % 2) /* this many are half-open */
            CHECK_OK(pirn_sleep(pirn_after_us(100)));
        CHECK_OK(pirn_cancel(task, NULL));
        CHECK_EQ(support_join(task), -ECANCELED);
        CHECK_EQ(a.count, 1 + i % 2);
        CHECK_EQ(a.errors[0].status, -ECANCELED);
        CHECK_EQ(dns_sockets(), sockets);
    }
    return 0;
}

START_TEST(a154_half_open_sockets_are_closed)
{
    open_place(&hanging, "hh");
    support_everywhere(deadlines);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancels, NULL));
    close_place(&hanging);
}
END_TEST

/* ---- No descriptor left ---------------------------------------------------------------------- */

/* There is none for the third, nor for a set: the two that are under way are waited for. (On a
 * plain thread alone: a worker may want one at any time.) */
START_TEST(a154_without_descriptors_those_under_way_go_on)
{
    attempt a = {.count = 0};
    struct rlimit limit, few;
    int taken[256], top = 0, rc = 0;
    open_place(&hanging, "hh");
    pirn_address list[] = {loopback(&hanging, 2), loopback(&hanging, 3), loopback(&hanging, 2)};
    for (int i = 0; i < 250; i++)
        top = fcntl(i, F_GETFD) >= 0 ? i : top;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    few = limit;
    few.rlim_cur = (rlim_t)top + 3;
    for (int64_t ms = 10; a.count != 3; ms *= 2) { /* until all three have been begun in time */
        int n = 0;
        attempt_init(&a);
        a.config.stagger = (pirn_span){1};
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &few));
        while ((taken[n] = dup(STDIN_FILENO)) >= 0)
            n++;
        for (int i = 0; i < 2; i++)
            CHECK_OK(close(taken[--n]));
        rc = pirn_connect_any(list, 3, &a.config, pirn_after_ms(ms));
        while (n > 0)
            CHECK_OK(close(taken[--n]));
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
        CHECK_EQ(rc, -ETIMEDOUT);
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ(a.errors[i].status, i == 0 ? -EMFILE : -ETIMEDOUT);
    close_place(&hanging);
}
END_TEST

/* ---- A connection and a cancel at the same moment -------------------------------------------- */

static int connect_and_close(void *arg)
{
    static const pirn_connect_config defaults = PIRN_CONNECT_CONFIG_INIT;
    pirn_connect_config config = defaults;
    const pirn_address *list = arg;  /* made outside: the cancel is this call's */
    config.stagger = (pirn_span){1}; /* both are under way */
    int fd = pirn_connect_any(list, 2, &config, PIRN_NEVER);
    if (fd < 0)
        return fd;
    check_plain(fd);
    return close(fd);
}

static int raced(void *arg)
{
    place *p = arg;
    pirn_address list[] = {loopback(p, 2), loopback(p, 3)};
    int rounds = support_rounds(500), came = 0, gone = 0, sockets = dns_sockets();
    int64_t skew = 0;
    for (int i = 0; i < rounds || ((came == 0 || gone == 0) && i < 100 * rounds); i++) {
        pirn_task *task = support_spawn(connect_and_close, list);
        if (i % 8 != 0) /* else at once: one worker may connect in no time */
            CHECK_OK(pirn_sleep(pirn_after_ns(skew + support_between(0, 20 * US))));
        pirn_cancel(task, NULL);
        int rc = support_join(task);
        CHECK(rc == 0 || rc == -ECANCELED);
        came += rc == 0;
        gone += rc != 0;
        skew += rc == 0 ? -skew / 8 - US : skew / 8 + 5 * US; /* towards where both are likely */
        skew = skew < 0 ? 0 : skew;
        for (int k = 0; k < 2; k++)
            for (int fd; (fd = pirn_accept(p->listeners[k], NULL, NULL, 0, PIRN_NOW)) >= 0;)
                CHECK_OK(close(fd));
    }
    CHECK(came > 0 && gone > 0);
    CHECK_EQ(dns_sockets(), sockets);
    return 0;
}

START_TEST(a154_raced_by_a_cancel)
{
    place p;
    open_place(&p, "ll");
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, raced, &p));
    close_place(&p);
}
END_TEST

/* ---- By name --------------------------------------------------------------------------------- */

static dns server;

/* many.test is 127.0.0.1 to .3, ::1 and ::2; one of them listens. */
static void by_name(void)
{
    place p;
    attempt a;
    char port[16];
    pirn_resolve_config config = dns_config(&server);
    pirn_address local;
    open_place(&p, "-l");
    snprintf(port, sizeof(port), "%d", p.port);
    attempt_init(&a);
    a.config.resolve = &config;
    int fd = pirn_connect_host("many.test", port, &a.config, PIRN_NEVER);
    check_plain(fd);
    local = loopback(&p, 3);
    CHECK(is_connected_to(fd, &local));
    CHECK_LE(a.count, 4);
    close(fd);

    local = at("127.0.0.77", 0); /* from there; IPv6 cannot */
    a.config.local = &local;
    fd = pirn_connect_host("many.test", port, &a.config, PIRN_NEVER);
    check_plain(fd);
    CHECK_OK(pirn_local_address(fd, &local));
    CHECK_EQ(last_byte(&local), 77);
    close(fd);
    CHECK_EQ(pirn_connect_host("six.test", port, &a.config, PIRN_NEVER), -EAFNOSUPPORT);
    CHECK_EQ(pirn_connect_host("unknown.test", port, &a.config, PIRN_NEVER), -ENOENT);
    CHECK_EQ(a.count, 0);
    CHECK_EQ(pirn_connect_host("mute.test", port, &a.config, pirn_after_ms(3)), -ETIMEDOUT);
    close_place(&p);
}

START_TEST(a154_s130_by_name)
{
    dns_begin(&server);
    if (dns_can_be_asked(&server))
        support_everywhere(by_name);
    else
        fprintf(stderr, "this build has no c-ares: names of one's own are not looked up\n");
    dns_end(&server);
}
END_TEST

/* localhost, by name and by number; a refused port says so. */
static void localhost(void)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", NULL};
    char port[16];
    int listener = pirn_listen("127.0.0.1", "0", NULL, PIRN_NEVER);
    CHECK_GE(listener, 0);
    snprintf(port, sizeof(port), "%d", pirn_local_port(listener));
    for (int i = 0; i < 3; i++) {
        int fd = pirn_connect_host(hosts[i], port, NULL, PIRN_NEVER);
        check_plain(fd);
        close(fd);
    }
    close(listener);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pirn_connect_host(hosts[i], port, NULL, PIRN_NEVER), -ECONNREFUSED);
}

START_TEST(s124_s130_localhost)
{
    support_everywhere(localhost);
}
END_TEST

/* A port where nobody listens, which the socket itself has: the kernel would connect the two. */
static void to_itself(void)
{
    pirn_connect_config config = PIRN_CONNECT_CONFIG_INIT;
    pirn_address here;
    int rc;
    do { /* somebody else's by now */
        int listener = pirn_listen("127.0.0.1", "0", NULL, PIRN_NEVER);
        CHECK_GE(listener, 0);
        CHECK_OK(pirn_local_address(listener, &here));
        close(listener);
        config.local = &here;
        rc = pirn_connect_any(&here, 1, &config, PIRN_NEVER);
    } while (rc == -EADDRINUSE);
    CHECK_EQ(rc, -ECONNREFUSED);
}

START_TEST(a154_nobody_is_connected_to_himself)
{
    support_everywhere(to_itself);
}
END_TEST

SUPPORT_MAIN("connect_host", a154_each_address_in_turn, a154_a_hanging_address_is_passed_over,
             a154_what_fails_at_once_is_passed_over_at_once, a154_families_alternate,
             a154_half_open_sockets_are_closed, a154_without_descriptors_those_under_way_go_on,
             a154_raced_by_a_cancel, a154_s130_by_name, s124_s130_localhost,
             a154_nobody_is_connected_to_himself)
