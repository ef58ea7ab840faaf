/*
 * Names while system calls fail: hard builds only, skipped (77) in others. The server is of this
 * process, so only what it does not call itself is made to fail.
 */
#include "tests/net/dns.h"

#include "io/fault.h"

#ifndef PIRN_HARD

int main(void)
{
    puts("no fault injection in this build: skipped");
    return 77;
}

#else

#include <stdio.h>

static dns server;

static const struct fault_case {
    const char *rule;
    int errors[4]; /* what a look-up may say besides; 0: end */
} cases[] = {
    {"socket:EMFILE", {-EMFILE}},
    {"socket:EMFILE:1/2", {-EMFILE, -EAGAIN}},
    {"socket:ENOBUFS:@1", {-ENOBUFS}},
    {"socket:EAFNOSUPPORT", {-EAGAIN}},
    {"connect:ENETUNREACH", {-EAGAIN}},
    /* one family is asked, and the other has nothing: that is what c-ares says */
    {"connect:ENETUNREACH:1/2", {-EAGAIN, -ENODATA}},
    {"connect:EINTR:1/2", {-EAGAIN, -ENODATA}},
    {"recvfrom:EAGAIN:1/2", {-EAGAIN}},
    {"recvfrom:ECONNREFUSED", {-EAGAIN}},
    {"recvfrom:ECONNREFUSED:1/2", {-EAGAIN, -ENODATA}},
    {"epoll_create:EMFILE", {-EAGAIN}},
    {"epoll_add:ENOSPC:1/2", {-EAGAIN}},
};
enum {
    CASES = sizeof(cases) / sizeof(cases[0])
};

/* wanted: without faults. One family's addresses may come without the other's. */
static bool may_say(const struct fault_case *c, int wanted, int rc)
{
    if (rc > 0 && rc < wanted)
        return true;
    for (int i = 0; i < 4 && c->errors[i] != 0; i++)
        if (rc == c->errors[i])
            return true;
    return rc == -ETIMEDOUT;
}

static int look_up(void *arg)
{
    static const struct {
        const char *host;
        int n;
    } names[] = {{"addr-1.test", 1}, {"both.test", 2}, {"big.test", 60}, {"unknown.test", -ENOENT}};
    const struct fault_case *c = arg;
    pirn_resolve_config config = dns_config(&server);
    char two[80];
    snprintf(two, sizeof(two), "127.0.0.1:1,%s", server.servers); /* nobody is at the first */
    config.tries = 2;
    config.timeout = (pirn_span){20 * MS};
    for (size_t i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++) {
        pirn_address *list = NULL;
        config.servers = i % 2 != 0 ? two : server.servers;
        int rc = pirn_resolve(names[i / 2].host, "1", &config, &list, pirn_after_s(1));
        if (rc != names[i / 2].n && (c == NULL || !may_say(c, names[i / 2].n, rc)))
            support_fail(__FILE__, __LINE__, __func__, "%s under %s: %d", names[i / 2].host,
                         c != NULL ? c->rule : "nothing", rc);
        CHECK_EQ(rc > 0, list != NULL);
        pirn_addresses_free(list);
    }
    return 0;
}

static int under_faults(void *arg)
{
    pirn_task *tasks[4];
    (void)arg;
    CHECK_OK(look_up(NULL));
    for (int i = 0; i < CASES; i++) {
        int sockets = dns_sockets();
        CHECK_OK(pirn_fault_set(cases[i].rule, 1));
        for (int k = 0; k < 4; k++)
            tasks[k] = support_spawn(look_up, (void *)(uintptr_t)&cases[i]);
        for (int k = 0; k < 4; k++)
            CHECK_OK(support_join(tasks[k]));
        CHECK_OK(pirn_fault_set(NULL, 1));
        CHECK_EQ(dns_sockets(), sockets);
    }
    return look_up(NULL);
}

START_TEST(a154_under_calls_that_fail)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, under_faults, NULL));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {a154_under_calls_that_fail};
    dns_begin(&server);
    bool can = dns_can_be_asked(&server);
    int rc = can ? support_main("resolve_fault", tests, 1) : 77;
    dns_end(&server);
    return rc;
}

#endif
