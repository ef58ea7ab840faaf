/* Names: numbers, services, /etc/hosts, every answer a server can give, many at once. */
#include "tests/net/dns.h"

static dns server;

static bool has(const pirn_address *list, int n, const char *text)
{
    char buf[128];
    for (int i = 0; i < n; i++) {
        CHECK_EQ(pirn_address_text(&list[i], buf, sizeof(buf)), strlen(buf));
        if (strcmp(buf, text) == 0)
            return true;
    }
    return false;
}

/* Resolves and compares with what is said: so many addresses, among them these two. */
static void expect(const char *host, const char *service, const pirn_resolve_config *config, int n,
                   const char *one, const char *other)
{
    pirn_address *list = NULL;
    int rc = pirn_resolve(host, service, config, &list, PIRN_NEVER);
    if (rc != n)
        fprintf(stderr, "%s\n", host);
    CHECK_EQ(rc, n);
    CHECK(one == NULL || has(list, n, one));
    CHECK(other == NULL || has(list, n, other));
    pirn_addresses_free(list);
}

/* ---- A154: numbers ask nobody ------------------------------------------- */

static void numbers(void)
{
    pirn_resolve_config config = dns_config(&server), four = config, six = config, any = config,
                        numeric = config;
    pirn_address *list = (pirn_address *)&config;
    int questions = atomic_load(&server.questions), sockets = dns_sockets();
    four.family = AF_INET;
    six.family = AF_INET6;
    any.flags = PIRN_RESOLVE_PASSIVE;
    numeric.flags = PIRN_RESOLVE_NUMERIC;
    expect("127.0.0.1", "80", NULL, 1, "127.0.0.1:80", NULL);
    expect("127.0.0.1", NULL, &config, 1, "127.0.0.1:0", NULL);
    expect("127.1", "65535", &config, 1, "127.0.0.1:65535", NULL);
    expect("::1", "80", &numeric, 1, "[::1]:80", NULL);
    expect("2001:db8::7:1", "1", &six, 1, "[2001:db8::7:1]:1", NULL);
    expect("fe80::1%lo", "80", &config, 1, "[fe80::1%lo]:80", NULL);
    expect("fe80::1%1", "80", &config, 1, "[fe80::1%lo]:80", NULL);
    expect(NULL, "7", &config, 2, "[::1]:7", "127.0.0.1:7");
    expect(NULL, "7", &any, 2, "[::]:7", "0.0.0.0:7");
    expect(NULL, "7", &four, 1, "127.0.0.1:7", NULL);
    CHECK_EQ(pirn_resolve("127.0.0.1", "80", &config, &list, PIRN_NOW), 1); /* no wait */
    pirn_addresses_free(list);

    list = (pirn_address *)&config;
    CHECK_EQ(pirn_resolve("127.0.0.1", NULL, &six, &list, PIRN_NEVER), -ENODATA);
    CHECK_EQ(pirn_resolve("::1", NULL, &four, &list, PIRN_NEVER), -ENODATA);
    CHECK_EQ(pirn_resolve("localhost", NULL, &numeric, &list, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_resolve("127.0.0.1", "http", &numeric, &list, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_resolve("", NULL, &config, &list, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_resolve("::1", "65536", &config, &list, PIRN_NEVER), -ESRCH);
    CHECK_EQ(pirn_resolve("::1", "99999999999999999999", &config, &list, PIRN_NEVER), -ESRCH);
    CHECK_EQ(pirn_resolve("::1", "", &config, &list, PIRN_NEVER), -ESRCH);
    CHECK_EQ(pirn_resolve("fe80::1%nosuchzone", NULL, &numeric, &list, PIRN_NEVER), -ENOENT);
    config.family = AF_UNIX;
    CHECK_EQ(pirn_resolve("::1", NULL, &config, &list, PIRN_NEVER), -EAFNOSUPPORT);
    config.family = 0;
    config.type = SOCK_RAW;
    CHECK_EQ(pirn_resolve("::1", NULL, &config, &list, PIRN_NEVER), -EINVAL);
    config.size--;
    CHECK_EQ(pirn_resolve("::1", NULL, &config, &list, PIRN_NEVER), -EINVAL);
    CHECK(list == (pirn_address *)&config); /* written only on success */
    CHECK_EQ(atomic_load(&server.questions), questions);
    CHECK_EQ(dns_sockets(), sockets);
}

START_TEST(a154_numbers_ask_nobody)
{
    support_everywhere(numbers);
}
END_TEST

/* ---- Services, /etc/hosts -------------------------------------------------------------------- */

static void services(void)
{
    pirn_resolve_config udp = PIRN_RESOLVE_CONFIG_INIT;
    pirn_address *list;
    udp.type = SOCK_DGRAM;
    CHECK_EQ(pirn_resolve("::1", "no-such-service", NULL, &list, PIRN_NEVER), -ESRCH);
    if (access("/etc/services", R_OK) != 0) {
        fprintf(stderr, "there is no /etc/services: service names are not looked at\n");
        return;
    }
    expect("127.0.0.1", "http", NULL, 1, "127.0.0.1:80", NULL);
    expect("::1", "domain", &udp, 1, "[::1]:53", NULL);
}

START_TEST(names_of_services)
{
    support_everywhere(services);
}
END_TEST

/* The name is in the file everywhere, and no server hears of it. */
static void hosts_file(void)
{
    pirn_resolve_config config = dns_config(&server);
    int questions = atomic_load(&server.questions);
    config.family = AF_INET;
    expect("localhost", "1", &config, 1, "127.0.0.1:1", NULL);
    CHECK_EQ(atomic_load(&server.questions), questions);
}

START_TEST(s130_names_of_the_hosts_file)
{
    support_everywhere(hosts_file);
}
END_TEST

/* ---- What servers say ------------------------------------------------------------------------ */

static int failure(const char *host, const pirn_resolve_config *config)
{
    pirn_address *list = NULL;
    int rc = pirn_resolve(host, "1", config, &list, PIRN_NEVER);
    CHECK(list == NULL);
    return rc;
}

static void answers(void)
{
    pirn_resolve_config config = dns_config(&server), four = config, six = config, hasty = config;
    char long_name[300] = "";
    four.family = AF_INET;
    six.family = AF_INET6;
    hasty.tries = 1;
    hasty.timeout = (pirn_span){30 * MS};
    expect("addr-258.test", "80", &config, 1, "127.1.1.2:80", NULL);
    expect("ADDR-3.Test.", "80", &config, 1, "127.1.0.3:80", NULL);
    expect("both.test", "80", &config, 2, "127.0.0.1:80", "[::1]:80");
    expect("both.test", "80", &four, 1, "127.0.0.1:80", NULL);
    expect("both.test", "80", &six, 1, "[::1]:80", NULL);
    expect("many.test", "80", &config, 5, "127.0.0.3:80", "[::2]:80");
    expect("six.test", "80", &config, 1, "[::1]:80", NULL);
    int by_tcp = atomic_load(&server.by_tcp);
    expect("big.test", "80", &four, 60, "127.2.0.1:80", "127.2.0.60:80");
    CHECK_EQ(atomic_load(&server.by_tcp), by_tcp + 1);

    CHECK_EQ(failure("six.test", &four), -ENODATA);
    CHECK_EQ(failure("empty.test", &config), -ENODATA);
    CHECK_EQ(failure("unknown.test", &config), -ENOENT);
    CHECK_EQ(failure("failing.test", &config), -EAGAIN);
    CHECK_EQ(failure("refused.test", &config), -EAGAIN);
    CHECK_EQ(failure("mute.test", &hasty), -EAGAIN); /* nobody said anything; no deadline */
    CHECK_EQ(failure("two..dots.test", &config), -ENOENT);
    memset(long_name, 'x', sizeof(long_name) - 1);
    CHECK_EQ(failure(long_name, &config), -ENOENT);
    hasty.servers = "127.0.0.1:1"; /* nobody there */
    CHECK_EQ(failure("addr-1.test", &hasty), -EAGAIN);
    hasty.servers = "nonsense";
    CHECK_EQ(failure("addr-1.test", &hasty), -EINVAL);
    hasty = dns_config(&server);
    hasty.flags = PIRN_RESOLVE_THREAD; /* which knows no servers */
    CHECK_EQ(failure("addr-1.test", &hasty), -EINVAL);
}

START_TEST(a154_what_servers_say)
{
    support_everywhere(answers);
}
END_TEST

/* The second of two servers is asked when the first is mute. */
static void second_server(void)
{
    char both[80];
    pirn_resolve_config config = dns_config(&server);
    pirn_address *list, any;
    CHECK_EQ(pirn_resolve("127.0.0.1", NULL, NULL, &list, PIRN_NEVER), 1);
    int mute = pirn_udp(0, list);
    CHECK_OK(pirn_local_address(mute, &any));
    snprintf(both, sizeof(both), "127.0.0.1:%d,%s", ntohs(any.addr.in.sin_port), server.servers);
    config.servers = both;
    config.timeout = (pirn_span){30 * MS};
    expect("addr-5.test", "80", &config, 1, "127.1.0.5:80", NULL);
    char packet[512];
    CHECK_GE(pirn_recvfrom(mute, packet, sizeof(packet), 0, NULL, PIRN_NEVER), 12);
    close(mute);
    pirn_addresses_free(list);
}

START_TEST(a_mute_server_is_passed_over)
{
    support_everywhere(second_server);
}
END_TEST

static void names(void)
{
    pirn_resolve_config config = dns_config(&server);
    pirn_address *list;
    char name[32] = "unchanged";
    CHECK_EQ(pirn_resolve("127.0.0.9", "80", NULL, &list, PIRN_NEVER), 1);
    CHECK_EQ(pirn_resolve_name(list, &config, name, sizeof(name), PIRN_NEVER), 9);
    CHECK(strcmp(name, "nine.test") == 0);
    CHECK_EQ(pirn_resolve_name(list, &config, name, 9, PIRN_NEVER), -ENOSPC);
    list->addr.in.sin_addr.s_addr = htonl(0x7f000008);
    CHECK_EQ(pirn_resolve_name(list, &config, name, sizeof(name), PIRN_NEVER), -ENOENT);
    CHECK(strcmp(name, "nine.test") == 0);
    config.flags = PIRN_RESOLVE_NUMERIC;
    CHECK_EQ(pirn_resolve_name(list, &config, name, sizeof(name), PIRN_NEVER), -ENOENT);
    list->addr.any.sa_family = AF_UNIX;
    CHECK_EQ(pirn_resolve_name(list, NULL, name, sizeof(name), PIRN_NEVER), -EAFNOSUPPORT);
    pirn_addresses_free(list);
}

START_TEST(names_of_addresses)
{
    support_everywhere(names);
}
END_TEST

/* ---- Many ------------------------------------------------------------------------------------ */

enum {
    MANY = 100
};

static int one_of_many(void *arg)
{
    pirn_resolve_config config = dns_config(&server);
    int i = (int)(intptr_t)arg;
    config.timeout = (pirn_span){200 * MS}; /* the server's socket may overflow: asked again */
    char host[32], text[32];
    for (int k = i; k < 1000; k += 300) {
        snprintf(host, sizeof(host), "addr-%d.test", k);
        snprintf(text, sizeof(text), "127.1.%d.%d:9", k / 256, k % 256);
        expect(host, "9", &config, 1, text, NULL);
    }
    return 0;
}

static int many(void *arg)
{
    pirn_scope *scope;
    (void)arg;
    CHECK_OK(pirn_scope_open(&scope, 0));
    for (int i = 0; i < MANY; i++)
        CHECK_OK(pirn_scope_spawn(scope, one_of_many, (void *)(intptr_t)i, PIRN_NEVER));
    return pirn_scope_close(scope, PIRN_NEVER);
}

START_TEST(a154_many_names_at_once)
{
    int before = dns_sockets();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, many, NULL));
    CHECK_EQ(dns_sockets(), before);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {a154_numbers_ask_nobody,      names_of_services,
                            s130_names_of_the_hosts_file, a154_what_servers_say,
                            a_mute_server_is_passed_over, names_of_addresses,
                            a154_many_names_at_once};
    size_t n = sizeof(tests) / sizeof(tests[0]);
    dns_begin(&server);
    if (!dns_can_be_asked(&server)) {
        fprintf(stderr, "this build has no c-ares: only what needs no server is looked at\n");
        n = 2;
    }
    int rc = support_main("resolve", tests, n);
    dns_end(&server);
    return rc;
}
