/*
 * A name server for tests: UDP and TCP on one port of 127.0.0.1, a runtime of its own on a thread
 * of its own. What it says is in the name that is asked for (any case, one label and "test"):
 *
 *   addr-N       A 127.1.x.y, N = 256 x + y          both      A 127.0.0.1, AAAA ::1
 *   many         A 127.0.0.1 to .3, AAAA ::1, ::2    six       AAAA ::1
 *   empty        it exists, without addresses        big       A 127.2.0.1 to .60: too long for UDP
 *   slow-N       addr-N, after N milliseconds        held      addr-7, once it is released
 *   mute         no answer at all                    failing   SERVFAIL
 *   refused      REFUSED                             twice     A 127.0.0.1, and again
 *   others       NXDOMAIN
 *
 * and 9.0.0.127.in-addr.arpa is nine.test. It counts what it is asked, and can be waited for.
 */
#ifndef PIRN_TESTS_NET_DNS_H
#define PIRN_TESTS_NET_DNS_H

#include "tests/support.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

typedef struct dns {
    int udp, tcp;
    char servers[32];     /* for pirn_resolve_config */
    atomic_int questions; /* that came */
    atomic_int held;      /* of those, for held.test */
    atomic_int by_tcp;
    pirn_event release; /* answers held.test */
    pirn_event over;
    pthread_t thread;
} dns;

enum {
    DNS_A = 1,
    DNS_PTR = 12,
    DNS_AAAA = 28,
    DNS_MAX = 4096
};

struct dns_question {
    dns *server;
    pirn_address from; /* UDP */
    int conn;          /* TCP, or -1 */
    size_t len;
    uint8_t packet[DNS_MAX];
    char name[256]; /* without the end's dot */
    int type;
};

static inline bool dns_parse(struct dns_question *q)
{
    size_t at = 12, out = 0;
    while (at < q->len && q->packet[at] != 0) {
        size_t n = q->packet[at++];
        if (n > 63 || at + n >= q->len || out + n + 2 > sizeof(q->name))
            return false;
        memcpy(q->name + out, q->packet + at, n);
        out += n;
        q->name[out++] = '.';
        at += n;
    }
    q->name[out != 0 ? out - 1 : 0] = '\0';
    for (char *c = q->name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    if (at + 5 > q->len)
        return false;
    q->type = q->packet[at + 1] << 8 | q->packet[at + 2];
    q->len = at + 5; /* what follows (EDNS) is not answered */
    return true;
}

static inline void dns_add(struct dns_question *q, int type, const void *data, size_t n)
{
    const uint8_t head[12] = {0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)n};
    CHECK(q->len + sizeof(head) + n <= DNS_MAX);
    memcpy(q->packet + q->len, head, sizeof(head));
    memcpy(q->packet + q->len + sizeof(head), data, n);
    q->len += sizeof(head) + n;
    q->packet[7]++;
}

static inline void dns_add_a(struct dns_question *q, uint32_t low)
{
    uint32_t addr = htonl(0x7f000000 + low);
    if (q->type == DNS_A)
        dns_add(q, DNS_A, &addr, 4);
}

static inline void dns_add_aaaa(struct dns_question *q, uint8_t last)
{
    uint8_t addr[16] = {[15] = last};
    if (q->type == DNS_AAAA)
        dns_add(q, DNS_AAAA, addr, 16);
}

/* Fills in the answers; the response code, or -1: say nothing. */
static inline int dns_answer(struct dns_question *q)
{
    const char *name = q->name;
    unsigned n = 0;
    if (strcmp(name, "9.0.0.127.in-addr.arpa") == 0) {
        if (q->type == DNS_PTR)
            dns_add(q, DNS_PTR, "\4nine\4test", 11);
    } else if (sscanf(name, "addr-%u.test", &n) == 1) {
        dns_add_a(q, 0x10000 + n);
    } else if (sscanf(name, "slow-%u.test", &n) == 1) {
        pirn_sleep(pirn_after_ms(n));
        dns_add_a(q, 0x10000 + n);
    } else if (strcmp(name, "held.test") == 0) {
        atomic_fetch_add(&q->server->held, 1);
        if (pirn_event_wait(&q->server->release, PIRN_NEVER) != 0)
            return -1;
        dns_add_a(q, 0x10007);
    } else if (strcmp(name, "both.test") == 0) {
        dns_add_a(q, 1);
        dns_add_aaaa(q, 1);
    } else if (strcmp(name, "many.test") == 0) {
        for (uint32_t i = 1; i <= 3; i++)
            dns_add_a(q, i);
        dns_add_aaaa(q, 1);
        dns_add_aaaa(q, 2);
    } else if (strcmp(name, "twice.test") == 0) {
        dns_add_a(q, 1);
        dns_add_a(q, 1);
    } else if (strcmp(name, "six.test") == 0) {
        dns_add_aaaa(q, 1);
    } else if (strcmp(name, "big.test") == 0) {
        for (uint32_t i = 1; i <= 60; i++)
            dns_add_a(q, 0x20000 + i);
    } else if (strcmp(name, "failing.test") == 0) {
        return 2;
    } else if (strcmp(name, "refused.test") == 0) {
        return 5;
    } else if (strcmp(name, "mute.test") == 0) {
        return -1;
    } else if (strcmp(name, "empty.test") != 0) {
        return 3;
    }
    return 0;
}

static inline int dns_serve(void *arg)
{
    struct dns_question *q = arg;
    bool tcp = q->conn >= 0;
    atomic_fetch_add(&q->server->questions, 1);
    if (!dns_parse(q))
        return 0;
    size_t asked = q->len;
    memset(q->packet + 6, 0, 6);
    int code = dns_answer(q);
    if (code < 0)
        return 0;
    q->packet[2] = 0x84; /* an authoritative answer */
    q->packet[3] = (uint8_t)(0x80 | code);
    if (!tcp && q->len > 512) { /* cut off: ask by TCP */
        q->len = asked;
        q->packet[2] |= 2;
        q->packet[7] = 0;
    }
    ssize_t sent;
    uint8_t size[2] = {(uint8_t)(q->len >> 8), (uint8_t)q->len};
    if (tcp && pirn_send(q->conn, size, 2, MSG_MORE, PIRN_NEVER) != 2)
        return 0;
    if (tcp)
        sent = pirn_send(q->conn, q->packet, q->len, 0, PIRN_NEVER);
    else
        sent = pirn_sendto(q->server->udp, q->packet, q->len, 0, &q->from, PIRN_NEVER);
    (void)sent; /* who asked may have gone */
    return 0;
}

static inline int dns_connection(void *arg)
{
    struct dns_question *q = arg;
    uint8_t size[2];
    while (pirn_recv(q->conn, size, 2, MSG_WAITALL, PIRN_NEVER) == 2) {
        q->len = (size_t)size[0] << 8 | size[1];
        if (q->len > sizeof(q->packet) ||
            pirn_recv(q->conn, q->packet, q->len, MSG_WAITALL, PIRN_NEVER) != (ssize_t)q->len)
            break;
        atomic_fetch_add(&q->server->by_tcp, 1);
        dns_serve(q);
    }
    pirn_close(q->conn);
    return 0;
}

static inline struct dns_question *dns_question_new(dns *server)
{
    struct dns_question *q = calloc(1, sizeof(*q));
    CHECK(q);
    q->server = server;
    q->conn = -1;
    return q;
}

static inline void dns_start(pirn_scope *scope, pirn_fn fn, struct dns_question *q)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.arg_drop = free;
    int rc = pirn_scope_spawn_with(scope, &config, fn, q, PIRN_NEVER);
    CHECK(rc == 0 || rc == -ECANCELED);
}

static inline int dns_udp(void *arg)
{
    struct dns_question *first = arg;
    pirn_scope *scope;
    ssize_t n;
    CHECK_OK(pirn_scope_open(&scope, 0));
    for (;;) {
        struct dns_question *q = dns_question_new(first->server);
        n = pirn_recvfrom(q->server->udp, q->packet, sizeof(q->packet), 0, &q->from, PIRN_NEVER);
        if (n < 0) {
            free(q);
            break;
        }
        q->len = (size_t)n;
        dns_start(scope, dns_serve, q);
    }
    CHECK_EQ(n, -ECANCELED);
    pirn_scope_cancel(scope, "the server ends");
    return pirn_scope_close(scope, PIRN_NEVER);
}

static inline int dns_main(void *arg)
{
    dns *server = arg;
    pirn_scope *scope;
    struct dns_question udp = {.server = server};
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn(scope, dns_udp, &udp, PIRN_NEVER));
    while (!pirn_event_is_set(&server->over)) {
        int conn = pirn_accept(server->tcp, NULL, NULL, 0, pirn_after_ms(5));
        if (conn == -EMFILE) /* a test has set the limit; only it has to do without */
            pirn_sleep(pirn_after_ms(5));
        else if (conn < 0)
            CHECK_EQ(conn, -ETIMEDOUT);
        if (conn < 0)
            continue;
        struct dns_question *q = dns_question_new(server);
        q->conn = conn;
        dns_start(scope, dns_connection, q);
    }
    pirn_scope_cancel(scope, "the server ends");
    CHECK_EQ(pirn_scope_close(scope, PIRN_NEVER), 0);
    pirn_close(server->udp);
    pirn_close(server->tcp);
    return 0;
}

static inline void *dns_thread(void *arg)
{
    CHECK_OK(support_run(1, dns_main, arg));
    return NULL;
}

static inline void dns_begin(dns *server)
{
    pirn_address *list;
    memset(server, 0, sizeof(*server));
    for (;;) { /* a port that is free for both */
        CHECK_EQ(pirn_resolve("127.0.0.1", NULL, NULL, &list, PIRN_NEVER), 1);
        server->tcp = pirn_listen_at(list, NULL);
        CHECK_GE(server->tcp, 0);
        list->addr.in.sin_port = htons((uint16_t)pirn_local_port(server->tcp));
        server->udp = pirn_udp(0, list);
        snprintf(server->servers, sizeof(server->servers), "127.0.0.1:%d",
                 pirn_local_port(server->tcp));
        pirn_addresses_free(list);
        if (server->udp >= 0)
            break;
        CHECK_EQ(server->udp, -EADDRINUSE);
        close(server->tcp);
    }
    server->thread = support_thread(dns_thread, server);
}

static inline void dns_end(dns *server)
{
    CHECK_OK(pirn_event_set(&server->over));
    support_thread_join(server->thread);
}

static inline pirn_resolve_config dns_config(const dns *server)
{
    pirn_resolve_config config = PIRN_RESOLVE_CONFIG_INIT;
    config.servers = server->servers;
    return config;
}

/* How many sockets this process has: what a lookup might leave behind. (A count of all descriptors
 * would see the rings of threads that the server's runtime starts.) */
static inline int dns_sockets(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++) {
        struct stat st;
        n += fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    }
    return n;
}

/* False: the library was built without c-ares, and knows no servers. */
static inline bool dns_can_be_asked(const dns *server)
{
    pirn_resolve_config config = dns_config(server);
    pirn_address *list;
    int rc = pirn_resolve("addr-1.test", NULL, &config, &list, PIRN_NEVER);
    CHECK(rc == 1 || rc == -EINVAL);
    if (rc == 1)
        pirn_addresses_free(list);
    return rc == 1;
}

#endif
