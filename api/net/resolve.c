/*
 * Names to addresses, and back.
 *
 *   1  the service becomes a port: a number here, a name by /etc/services, on a thread, for the
 *      libc may ask the network
 *   2  no host, or a number, is answered here: no thread, no file, no packet
 *   3  a name goes to c-ares (ares.c), or to getaddrinfo on a thread (thread.c)
 *
 * (inet_aton and not inet_pton, so that "127.1" is what getaddrinfo takes it for, whoever is
 * asked.)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "api/net/net.h"
#include "api/transfer.h"
#include "runtime/debug.h"

static const pirn_resolve_config defaults = PIRN_RESOLVE_CONFIG_INIT;

int pirn_addresses_add(struct address_list *list, const struct sockaddr *addr, uint16_t port)
{
    if (addr->sa_family != AF_INET && addr->sa_family != AF_INET6)
        return 0;
    if (list->n == list->room) {
        size_t room = list->room != 0 ? 2 * list->room : 4;
        pirn_address *items = realloc(list->items, room * sizeof(*items));
        if (items == NULL)
            return -ENOMEM;
        list->items = items;
        list->room = room;
    }
    pirn_address *a = &list->items[list->n++];
    memset(a, 0, sizeof(*a));
    if (addr->sa_family == AF_INET) {
        memcpy(&a->addr.in, addr, sizeof(a->addr.in));
        a->len = sizeof(a->addr.in);
        a->addr.in.sin_port = port;
    } else {
        memcpy(&a->addr.in6, addr, sizeof(a->addr.in6));
        a->len = sizeof(a->addr.in6);
        a->addr.in6.sin6_port = port;
    }
    return 0;
}

void pirn_addresses_free(pirn_address *list)
{
    free(list);
}

static bool wants(const pirn_resolve_config *config, int family)
{
    return config->family == 0 || config->family == family;
}

/* ---- Services ------------------------------------------------------------------------------ */

struct service {
    const char *name, *protocol;
    uint16_t port;
};

static int look_up_service(void *arg)
{
    struct service *s = arg;
    struct servent entry, *found = NULL;
    char buf[4096];
    int rc = getservbyname_r(s->name, s->protocol, &entry, buf, sizeof(buf), &found);
    if (found == NULL)
        return rc == 0 || rc == ENOENT ? -ESRCH : -rc;
    s->port = (uint16_t)found->s_port;
    return 0;
}

/* *ret_port in the network's order. */
static int port_of(const char *service, const pirn_resolve_config *config, uint16_t *ret_port,
                   pirn_time deadline)
{
    uint32_t port = 0;
    size_t digits = service != NULL ? strspn(service, "0123456789") : 0;
    if (service == NULL || (digits != 0 && service[digits] == '\0')) {
        for (size_t i = 0; i < digits && port <= UINT16_MAX; i++)
            port = 10 * port + (uint32_t)(service[i] - '0');
        *ret_port = htons((uint16_t)port);
        return port <= UINT16_MAX ? 0 : -ESRCH;
    }
    if ((config->flags & PIRN_RESOLVE_NUMERIC) != 0 || *service == '\0')
        return (config->flags & PIRN_RESOLVE_NUMERIC) != 0 ? -ENOENT : -ESRCH;
    struct service s = {service, config->type == SOCK_DGRAM ? "udp" : "tcp", 0};
    int found, rc = pirn_to_thread(look_up_service, &s, &found, deadline);
    if (rc == 0)
        rc = found;
    if (rc == 0)
        *ret_port = s.port;
    return rc;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

/* fe80::1%eth0, fe80::1%2, ::1. False: it is no such thing. */
static bool read_in6(const char *text, struct sockaddr_in6 *ret_addr)
{
    char number[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "%");
    if (len >= sizeof(number))
        return false;
    memcpy(number, text, len);
    number[len] = '\0';
    if (inet_pton(AF_INET6, number, &ret_addr->sin6_addr) != 1)
        return false;
    if (text[len] == '\0')
        return true;
    const char *zone = text + len + 1;
    char *end;
    unsigned long index = *zone >= '0' && *zone <= '9' ? strtoul(zone, &end, 10) : 0;
    if (index == 0 || index > UINT32_MAX || *end != '\0')
        index = if_nametoindex(zone);
    ret_addr->sin6_scope_id = (uint32_t)index;
    return index != 0;
}

/* How many addresses text is, as a number: 0: it is none, -ENODATA: of another family. */
static int add_number(struct address_list *list, const char *text,
                      const pirn_resolve_config *config, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (strpbrk(text, " \t\r\n") == NULL && inet_aton(text, &in.sin_addr) != 0) {
        int rc = wants(config, AF_INET) ? pirn_addresses_add(list, (struct sockaddr *)&in, port)
                                        : -ENODATA;
        return rc == 0 ? 1 : rc;
    }
    if (read_in6(text, &in6)) {
        int rc = wants(config, AF_INET6) ? pirn_addresses_add(list, (struct sockaddr *)&in6, port)
                                         : -ENODATA;
        return rc == 0 ? 1 : rc;
    }
    return 0;
}

static int add_own(struct address_list *list, const pirn_resolve_config *config, uint16_t port)
{
    bool any = (config->flags & PIRN_RESOLVE_PASSIVE) != 0;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_addr = any ? in6addr_any : in6addr_loopback};
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK)};
    int rc = 0;
    if (wants(config, AF_INET6))
        rc = pirn_addresses_add(list, (struct sockaddr *)&in6, port);
    if (rc == 0 && wants(config, AF_INET))
        rc = pirn_addresses_add(list, (struct sockaddr *)&in, port);
    return rc;
}

/* ---- The calls ----------------------------------------------------------------------------- */

static bool is_sound(const pirn_resolve_config *config)
{
    const unsigned known = PIRN_RESOLVE_PASSIVE | PIRN_RESOLVE_NUMERIC | PIRN_RESOLVE_THREAD;
    if (config->size != sizeof(*config) || (config->flags & ~known) != 0 || config->tries < 0 ||
        config->timeout.ns < 0)
        return false;
    if (config->type != 0 && config->type != SOCK_STREAM && config->type != SOCK_DGRAM)
        return false;
    return (config->flags & PIRN_RESOLVE_THREAD) == 0 ||
           (config->servers == NULL && config->tries == 0 && config->timeout.ns == 0);
}

static int begin(const char *call, const pirn_resolve_config *config)
{
    struct wait w;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    if (!is_sound(config))
        return pirn_misuse(
            call, -EINVAL,
            misuse_of_config(config->size, sizeof(*config),
                             "the config has an unknown flag or type, a number out of "
                             "range, or servers that a thread does not ask"));
    return config->family == 0 || config->family == AF_INET || config->family == AF_INET6
               ? 0
               : -EAFNOSUPPORT;
}

static int find_out(const struct question *question, const pirn_resolve_config *config,
                    struct answer *ret_answer, pirn_time deadline)
{
    if ((config->flags & PIRN_RESOLVE_NUMERIC) != 0)
        return -ENOENT;
    if ((config->flags & PIRN_RESOLVE_THREAD) == 0) {
        int rc = pirn_net_ask_ares(question, config, ret_answer, deadline);
        if (rc != -ENOSYS)
            return rc;
        if (config->servers != NULL || config->tries != 0 || config->timeout.ns != 0)
            return -EINVAL;
    }
    return pirn_net_ask_thread(question, ret_answer, deadline);
}

int pirn_resolve(const char *host, const char *service, const pirn_resolve_config *config,
                 pirn_address **ret_list, pirn_time deadline)
{
    struct answer answer = {0};
    uint16_t port;
    if (config == NULL)
        config = &defaults;
    int rc = begin(__func__, config);
    if (rc == 0 && ret_list == NULL)
        rc = pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (rc == 0)
        rc = port_of(service, config, &port, deadline);
    if (rc != 0)
        return rc;
    if (host == NULL)
        rc = add_own(&answer.list, config, port);
    else if (*host == '\0')
        rc = -ENOENT;
    else
        rc = add_number(&answer.list, host, config, port);
    if (rc == 0 && host != NULL) {
        struct question question = {host, NULL, config->family,
                                    config->type != 0 ? config->type : SOCK_STREAM, port};
        rc = find_out(&question, config, &answer, deadline);
    }
    if (rc >= 0 && answer.list.n == 0)
        rc = -ENODATA;
    if (rc < 0) {
        free(answer.list.items);
        return rc;
    }
    *ret_list = answer.list.items;
    return (int)answer.list.n;
}

int pirn_resolve_name(const pirn_address *address, const pirn_resolve_config *config,
                      char *ret_name, size_t size, pirn_time deadline)
{
    struct answer answer = {0};
    struct question question = {NULL, address, 0, 0, 0};
    if (config == NULL)
        config = &defaults;
    int rc = begin(__func__, config);
    if (rc != 0)
        return rc;
    if (address == NULL || ret_name == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (address->addr.any.sa_family != AF_INET && address->addr.any.sa_family != AF_INET6)
        return -EAFNOSUPPORT;
    rc = find_out(&question, config, &answer, deadline);
    if (rc != 0)
        return rc;
    size_t len = strlen(answer.name);
    if (len < size)
        memcpy(ret_name, answer.name, len + 1);
    free(answer.name);
    return len < size ? (int)len : -ENOSPC;
}
