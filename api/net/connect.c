/*
 * Connecting to the first of several addresses that answers (RFC 8305).
 *
 *   1  the addresses are put in order: families alternate, beginning with the first one's
 *   2  an attempt is begun: a non-blocking connect. The next one is begun when the newest has had
 *      its head start, or as soon as one fails
 *   3  the first that is connected wins; the others are closed, and so are all when the call is
 *      stopped
 *
 * All attempts are one wait (pirn_net_wait_any()): there are no tasks to be cancelled, no request
 * is in the kernel when a socket is closed, and a plain thread does the same. (Rejected: a task and
 * a ring's connect for each attempt. A connect that is stopped has to be settled and undone, and
 * the race between the winner and the cancels of the others was most of the code.)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/net/net.h"
#include "api/transfer.h"
#include "io/sys.h"
#include "runtime/debug.h"

static const pirn_connect_config defaults = PIRN_CONNECT_CONFIG_INIT;

struct contest {
    const pirn_address *list;
    const pirn_connect_config *config;
    size_t n, next;         /* addresses, and how many have been begun */
    size_t *order;          /* the index of the k-th to be tried */
    struct pollfd *pending; /* under way, in the order in which they were begun */
    size_t *index;          /* of pending's address */
    size_t pending_n;
    size_t failed;
    int first_error, told_error; /* the first; the first that is not "no way there" */
    int winner;                  /* the connected descriptor, or -1 */
};

static void put_in_order(struct contest *c)
{
    size_t at[2] = {0, 0};
    sa_family_t first = c->list[0].addr.any.sa_family;
    for (size_t k = 0; k < c->n; k++) {
        int side = (int)(k % 2);
        for (int tries = 0; tries < 2; tries++, side = !side) {
            while (at[side] < c->n && (c->list[at[side]].addr.any.sa_family != first) != side)
                at[side]++;
            if (at[side] < c->n) {
                c->order[k] = at[side]++;
                break;
            }
        }
    }
}

static void note_failure(struct contest *c, size_t index, int status)
{
    const pirn_connect_config *config = c->config;
    if (c->failed < config->errors_max) {
        config->ret_errors[c->failed].address = c->list[index];
        config->ret_errors[c->failed].status = status;
    }
    c->failed++;
    if (c->first_error == 0)
        c->first_error = status;
    bool no_way = status == -ENETUNREACH || status == -EHOSTUNREACH || status == -EADDRNOTAVAIL ||
                  status == -EAFNOSUPPORT;
    if (c->told_error == 0 && !no_way)
        c->told_error = status;
}

/* Two free ports of one machine may meet: a connect to a port nobody listens on, which the socket
 * was given itself. */
static bool is_to_itself(int fd)
{
    pirn_address here, there;
    return pirn_local_address(fd, &here) == 0 && pirn_peer_address(fd, &there) == 0 &&
           here.len == there.len && memcmp(&here.addr, &there.addr, here.len) == 0;
}

/* fd has been connected, or has failed with rc. True: it has won. */
static bool finish(struct contest *c, int fd, size_t index, int rc)
{
    if (rc == 0 && is_to_itself(fd))
        rc = -ECONNREFUSED;
    if (rc == 0)
        rc = pirn_net_set_nonblocking(fd, false);
    if (rc == 0) {
        c->winner = fd;
        return true;
    }
    note_failure(c, index, rc);
    if (fd >= 0)
        sys_close(fd);
    return false;
}

static int bind_local(int fd, const pirn_address *local, int family)
{
    if (local == NULL)
        return 0;
    if (local->addr.any.sa_family != family)
        return -EAFNOSUPPORT;
    return sys_bind(fd, &local->addr.any, local->len);
}

/* Begins the next attempt. True: it has won already. */
static bool begin(struct contest *c)
{
    size_t index = c->order[c->next++];
    const pirn_address *a = &c->list[index];
    int family = a->addr.any.sa_family;
    int fd = family == AF_INET || family == AF_INET6
                 ? sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
                 : -EAFNOSUPPORT;
    int rc = fd < 0 ? fd : bind_local(fd, c->config->local, family);
    if (rc == 0)
        rc = sys_connect(fd, &a->addr.any, a->len);
    if (rc != -EINPROGRESS && rc != -EINTR)
        return finish(c, fd, index, rc);
    c->pending[c->pending_n] = (struct pollfd){fd, POLLOUT, 0};
    c->index[c->pending_n++] = index;
    return false;
}

/* Looks at those that are ready. True: one has won. */
static bool look(struct contest *c)
{
    size_t kept = 0;
    bool won = false;
    for (size_t i = 0; i < c->pending_n; i++) {
        int fd = c->pending[i].fd, error = 0;
        socklen_t len = sizeof(error);
        if (!won && c->pending[i].revents != 0) {
            int rc = sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
            won = finish(c, fd, c->index[i], rc < 0 ? rc : -error);
            continue;
        }
        c->pending[kept] = c->pending[i];
        c->index[kept++] = c->index[i];
    }
    c->pending_n = kept;
    return won;
}

/* 0: there is a winner, or why there is none. */
static int run(struct contest *c, pirn_time deadline)
{
    int64_t stagger = c->config->stagger.ns != 0 ? c->config->stagger.ns : 250000000;
    pirn_time start = PIRN_NOW; /* of the next attempt */
    for (;;) {
        if (c->next < c->n && (c->pending_n == 0 || is_past(start))) {
            size_t failed = c->failed;
            if (begin(c))
                return 0;
            start = c->failed != failed ? PIRN_NOW : pirn_after_ns(stagger);
            continue;
        }
        if (c->pending_n == 0)
            return c->told_error != 0 ? c->told_error : c->first_error;
        pirn_time until = c->next < c->n ? earlier(start, deadline) : deadline;
        int rc = pirn_net_wait_any(c->pending, c->pending_n, until);
        if (rc == -ETIMEDOUT && !is_past(deadline))
            continue;
        if (rc < 0)
            return rc;
        size_t failed = c->failed;
        if (look(c))
            return 0;
        if (c->failed != failed)
            start = PIRN_NOW;
    }
}

static int connect_any(const pirn_address *list, size_t n, const pirn_connect_config *config,
                       pirn_time deadline)
{
    struct contest c = {.list = list, .config = config, .n = n, .winner = -1};
    if (list == NULL || n == 0 || n > INT32_MAX)
        return -EINVAL;
    char *memory = calloc(n, 2 * sizeof(size_t) + sizeof(struct pollfd));
    if (memory == NULL)
        return -ENOMEM;
    c.order = (size_t *)(void *)memory;
    c.index = c.order + n;
    c.pending = (struct pollfd *)(void *)(c.index + n);
    put_in_order(&c);
    int rc = run(&c, deadline);
    for (size_t i = 0; i < c.pending_n; i++) {
        sys_close(c.pending[i].fd);
        note_failure(&c, c.index[i], rc == -ETIMEDOUT ? rc : -ECANCELED);
    }
    if (config->ret_count != NULL)
        *config->ret_count = c.failed;
    free(memory);
    return rc == 0 ? c.winner : rc;
}

static int enter(const char *call, const pirn_connect_config *config)
{
    struct wait w;
    int rc = pirn_wait_enter(&w);
    if (config->size == sizeof(*config) && config->ret_count != NULL)
        *config->ret_count = 0;
    if (rc != 0)
        return rc;
    if (config->size != sizeof(*config) || config->stagger.ns < 0 ||
        (config->ret_errors == NULL && config->errors_max != 0))
        return pirn_misuse(
            call, -EINVAL,
            misuse_of_config(config->size, sizeof(*config),
                             "the config has stagger < 0, or no room for errors_max"));
    return 0;
}

int pirn_connect_any(const pirn_address *list, size_t n, const pirn_connect_config *config,
                     pirn_time deadline)
{
    if (config == NULL)
        config = &defaults;
    int rc = enter(__func__, config);
    return rc == 0 ? connect_any(list, n, config, deadline) : rc;
}

int pirn_connect_host(const char *host, const char *service, const pirn_connect_config *config,
                      pirn_time deadline)
{
    pirn_address *list = NULL;
    if (config == NULL)
        config = &defaults;
    int rc = enter(__func__, config);
    if (rc == 0)
        rc = pirn_resolve(host, service, config->resolve, &list, deadline);
    if (rc < 0)
        return rc;
    rc = connect_any(list, (size_t)rc, config, deadline);
    pirn_addresses_free(list);
    return rc;
}

int pirn_connect_unix(const char *path, pirn_time deadline)
{
    struct wait w;
    pirn_address address;
    int rc = pirn_wait_enter(&w);
    if (rc == 0)
        rc = pirn_net_unix_address(path, &address);
    if (rc != 0)
        return rc;
    int fd = sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    rc = pirn_connect(fd, &address.addr.any, address.len, deadline);
    if (rc == 0)
        return fd;
    sys_close(fd);
    return rc;
}
