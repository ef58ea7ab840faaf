/*
 * Addresses to connect to, for tests. 127.0.0.0/8 is this machine, so a list may have many
 * addresses of one port: some listen, some refuse, and a listener whose queue is full lets a
 * connect hang.
 */
#ifndef PIRN_TESTS_NET_PLACE_H
#define PIRN_TESTS_NET_PLACE_H

#include "tests/net/dns.h"

#include <fcntl.h>

enum {
    ERRORS = 8
};

typedef struct place { /* a port of 127.0.0.2 to 127.0.0.9, some of which listen */
    int port, listeners[10], fillers[20], filled;
} place;

static inline pirn_address at(const char *host, int port)
{
    pirn_address *list, a;
    char service[16];
    snprintf(service, sizeof(service), "%d", port);
    CHECK_EQ(pirn_resolve(host, service, NULL, &list, PIRN_NEVER), 1);
    a = *list;
    pirn_addresses_free(list);
    return a;
}

static inline pirn_address loopback(const place *p, int last)
{
    char host[16];
    snprintf(host, sizeof(host), "127.0.0.%d", last);
    return at(host, p->port);
}

/* A port that is free at all of the addresses: each is bound, those that shall not answer do not
 * listen. */
static inline void open_place(place *p,
                              const char *kinds) /* of .2, .3, ...: l listens, h hangs, - neither */
{
    for (;;) {
        bool busy = false;
        memset(p, 0, sizeof(*p));
        memset(p->listeners, -1, sizeof(p->listeners));
        for (int i = 0; kinds[i] != '\0' && !busy; i++) {
            pirn_address a = loopback(p, i + 2);
            int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            p->listeners[i] = fd;
            busy = bind(fd, &a.addr.any, a.len) != 0;
            if (!busy && kinds[i] != '-')
                CHECK_OK(listen(fd, kinds[i] == 'h' ? 0 : 100));
            if (p->port == 0)
                p->port = pirn_local_port(fd);
            for (int k = 0; kinds[i] == 'h' && !busy && k < 2; k++) {
                pirn_address full = loopback(p, i + 2);
                int filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                connect(filler, &full.addr.any, full.len);
                p->fillers[p->filled++] = filler;
            }
        }
        if (!busy)
            break;
        for (int i = 0; i < 10; i++)
            close(p->listeners[i]);
        for (int i = 0; i < p->filled; i++)
            close(p->fillers[i]);
    }
    support_pause_ms(1);
}

static inline void close_place(place *p)
{
    for (int i = 0; i < 10; i++)
        if (p->listeners[i] >= 0)
            close(p->listeners[i]);
    for (int i = 0; i < p->filled; i++)
        close(p->fillers[i]);
}

static inline bool is_connected_to(int fd, const pirn_address *a)
{
    pirn_address peer;
    CHECK_OK(pirn_peer_address(fd, &peer));
    return peer.len == a->len && memcmp(&peer.addr, &a->addr, a->len) == 0;
}

static inline void check_plain(int fd) /* what the caller is given */
{
    CHECK_GE(fd, 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

typedef struct attempt {
    pirn_connect_config config;
    pirn_connect_error errors[ERRORS];
    size_t count;
} attempt;

static inline void attempt_init(attempt *a)
{
    static const pirn_connect_config defaults = PIRN_CONNECT_CONFIG_INIT;
    memset(a, 0, sizeof(*a));
    a->config = defaults;
    a->config.ret_errors = a->errors;
    a->config.errors_max = ERRORS;
    a->config.ret_count = &a->count;
    a->count = 77;
}

static inline int last_byte(const pirn_address *a)
{
    return (int)(ntohl(a->addr.in.sin_addr.s_addr) & 255);
}

#endif
