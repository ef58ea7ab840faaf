/*
 * Names by c-ares, driven by pirn's readiness wait.
 *
 *   1  a channel is made for the call, with resolv.conf, nsswitch.conf and the environment as they are
 *      now, and asked; what /etc/hosts answers is there at once
 *   2  the channel says which sockets it has, and for what they are waited for (watch); the caller waits
 *      for one of them, or for the channel's next timeout, and lets it go on
 *   3  answered, stopped by the deadline or by a cancel: the channel goes, with its sockets
 *
 * A channel must not be used by two threads at a time. This one belongs to one call, whose coroutine is
 * on one thread at a time; nothing suspends while c-ares is on the stack. So it needs no lock and no
 * strand, a cancel leaves nothing behind, a runtime can end while names are being looked up, and a plain
 * thread works the same way. (Rejected: one channel for all. Its queries cannot be cancelled one by
 * one, so they outlive their callers; somebody has to drive it, in some runtime; and it keeps the
 * servers of the day when it was made. What it saves is reading three small files, and a socket.)
 *
 * The sockets are made here, not by c-ares: close-on-exec from the start, SIGPIPE is never raised by a
 * server that hangs up, and why one cannot be had is not lost (EMFILE). (ares_library_init does nothing on
 * Linux, and is left to programs that use c-ares themselves.)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/net/net.h"
#include "api/transfer.h"
#include "io/sys.h"

#ifdef PIRN_CARES

#include <ares.h>
#include <netdb.h>

struct query {
    ares_channel channel;
    const struct question *question;
    struct answer *answer;
    struct pollfd *fds; /* the channel's sockets that are waited for */
    size_t n, room;
    bool done;
    int status;   /* what pirn_resolve returns, once done */
    int os_error; /* why the last socket could not be had */
    int broken;   /* -ENOMEM: a socket could not be noted */
};

static void watch(void *data, ares_socket_t fd, int readable, int writable)
{
    struct query *q = data;
    size_t i = 0;
    while (i < q->n && q->fds[i].fd != fd)
        i++;
    if (!readable && !writable) {
        if (i < q->n)
            q->fds[i] = q->fds[--q->n];
        return;
    }
    if (i == q->room) {
        size_t room = q->room != 0 ? 2 * q->room : 4;
        struct pollfd *fds = realloc(q->fds, room * sizeof(*fds));
        if (fds == NULL) {
            q->broken = -ENOMEM;
            return;
        }
        q->fds = fds;
        q->room = room;
    }
    if (i == q->n)
        q->n++;
    q->fds[i].fd = fd;
    q->fds[i].events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
}

/* ---- Its sockets: errno is what c-ares looks at ------------------------------------------------ */

static ssize_t say(ssize_t rc)
{
    if (rc >= 0)
        return rc;
    errno = (int)-rc;
    return -1;
}

static ares_socket_t socket_new(int family, int type, int protocol, void *data)
{
    struct query *q = data;
    int fd = sys_socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS)
        q->os_error = fd;
    return (ares_socket_t)say(fd);
}

static int socket_close(ares_socket_t fd, void *data)
{
    (void)data;
    return (int)say(sys_close(fd));
}

static int socket_connect(ares_socket_t fd, const struct sockaddr *addr, ares_socklen_t len,
                          void *data)
{
    (void)data;
    return (int)say(sys_connect(fd, addr, len));
}

static ares_ssize_t socket_receive(ares_socket_t fd, void *buf, size_t n, int flags,
                                   struct sockaddr *from, ares_socklen_t *from_len, void *data)
{
    (void)data;
    return say(sys_recvfrom(fd, buf, n, flags, from, from_len));
}

static ares_ssize_t socket_send(ares_socket_t fd, const struct iovec *iov, int n, void *data)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
    (void)data;
    return say(sys_sendmsg(fd, &msg, MSG_NOSIGNAL));
}

/* ---- Answers ----------------------------------------------------------------------------------- */

static int error_of(const struct query *q, int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
        return -ENOENT;
    case ARES_ENODATA:
        return -ENODATA;
    case ARES_ECONNREFUSED: /* no server is left to be asked */
        return q->os_error != 0 ? q->os_error : -EAGAIN;
    case ARES_ETIMEOUT:
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
        return -EAGAIN;
    case ARES_ENOMEM:
        return -ENOMEM;
    case ARES_EBADFAMILY:
        return -EAFNOSUPPORT;
    case ARES_EBADSTR:
        return -EINVAL;
    default:
        return -EPROTO;
    }
}

static void take_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct query *q = arg;
    (void)timeouts;
    q->done = true;
    q->status = error_of(q, status);
    if (found == NULL)
        return;
    for (struct ares_addrinfo_node *a = found->nodes; a != NULL && q->status == 0; a = a->ai_next)
        q->status = pirn_addresses_add(&q->answer->list, a->ai_addr, q->question->port);
    ares_freeaddrinfo(found);
}

static void take_name(void *arg, int status, int timeouts, char *name, char *service)
{
    struct query *q = arg;
    (void)timeouts;
    (void)service;
    q->done = true;
    q->status = error_of(q, status);
    if (q->status != 0)
        return;
    q->answer->name = name != NULL ? strdup(name) : NULL;
    if (q->answer->name == NULL)
        q->status = name != NULL ? -ENOMEM : -ENOENT;
}

/* ---- The call ---------------------------------------------------------------------------------- */

static int open_channel(struct query *q, const pirn_resolve_config *config)
{
    static const struct ares_socket_functions functions = {socket_new, socket_close, socket_connect,
                                                           socket_receive, socket_send};
    struct ares_options options = {.sock_state_cb = watch, .sock_state_cb_data = q};
    int set = ARES_OPT_SOCK_STATE_CB;
    if (config->tries != 0) {
        options.tries = config->tries;
        set |= ARES_OPT_TRIES;
    }
    if (config->timeout.ns != 0) {
        int64_t ms = (config->timeout.ns - 1) / 1000000 + 1;
        options.timeout = ms < 1000000 ? (int)ms : 1000000;
        set |= ARES_OPT_TIMEOUTMS;
    }
    int status = ares_init_options(&q->channel, &options, set);
    if (status != ARES_SUCCESS)
        return status == ARES_ENOMEM ? -ENOMEM : error_of(q, status);
    ares_set_socket_functions(q->channel, &functions, q);
    if (config->servers != NULL) {
        status = ares_set_servers_ports_csv(q->channel, config->servers);
        if (status != ARES_SUCCESS) {
            ares_destroy(q->channel);
            return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
        }
    }
    return 0;
}

static void begin_query(struct query *q)
{
    const struct question *question = q->question;
    if (question->host != NULL) {
        struct ares_addrinfo_hints hints = {.ai_family = question->family,
                                            .ai_socktype = question->type};
        ares_getaddrinfo(q->channel, question->host, NULL, &hints, take_addresses, q);
    } else {
        ares_getnameinfo(q->channel, &question->address->addr.any,
                         (ares_socklen_t)question->address->len,
                         ARES_NI_LOOKUPHOST | ARES_NI_NAMEREQD, take_name, q);
    }
}

static pirn_time next_timeout(struct query *q)
{
    struct timeval tv, *left = ares_timeout(q->channel, NULL, &tv);
    if (left == NULL)
        return PIRN_NEVER;
    return pirn_after_us((int64_t)left->tv_sec * 1000000 + left->tv_usec);
}

/* What is ready, in an order that q->fds does not keep: going on with one changes it. */
static void go_on(struct query *q, const struct pollfd *ready, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int events = ready[i].revents;
        bool in = (events & ~POLLOUT) != 0, out = (events & (POLLOUT | POLLERR | POLLHUP)) != 0;
        if (events != 0)
            ares_process_fd(q->channel, in ? ready[i].fd : ARES_SOCKET_BAD,
                            out && (ready[i].events & POLLOUT) ? ready[i].fd : ARES_SOCKET_BAD);
    }
}

static int drive(struct query *q, pirn_time deadline)
{
    while (!q->done && q->broken == 0) {
        pirn_time until = earlier(deadline, next_timeout(q));
        int rc = pirn_net_wait_any(q->fds, q->n, until);
        if (rc == -ETIMEDOUT) {
            if (is_past(deadline))
                return rc;
            ares_process_fd(q->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
            continue;
        }
        if (rc < 0)
            return rc;
        size_t n = q->n;
        if (n == 1) {
            struct pollfd one = q->fds[0];
            go_on(q, &one, 1);
            continue;
        }
        struct pollfd *ready = malloc(n * sizeof(*ready));
        if (ready == NULL)
            return -ENOMEM;
        memcpy(ready, q->fds, n * sizeof(*ready));
        go_on(q, ready, n);
        free(ready);
    }
    return q->done ? q->status : q->broken;
}

int pirn_net_ask_ares(const struct question *question, const pirn_resolve_config *config,
                      struct answer *ret_answer, pirn_time deadline)
{
    struct answer answer = {0};
    struct query q = {.question = question, .answer = &answer};
    int rc = open_channel(&q, config);
    if (rc != 0)
        return rc;
    begin_query(&q);
    rc = drive(&q, deadline);
    ares_destroy(
        q.channel); /* an answer that is still to come is ARES_EDESTRUCTION, and to nobody */
    free(q.fds);
    if (rc == 0) {
        *ret_answer = answer;
    } else {
        free(answer.list.items);
        free(answer.name);
    }
    return rc;
}

#else

int pirn_net_ask_ares(const struct question *question, const pirn_resolve_config *config,
                      struct answer *ret_answer, pirn_time deadline)
{
    (void)question;
    (void)config;
    (void)ret_answer;
    (void)deadline;
    return -ENOSYS;
}

#endif
