/*
 * Names by c-ares, driven by pirn's readiness wait.
 *
 *   1  a channel is made for the call, with resolv.conf, nsswitch.conf and the environment as they
 *      are now, and asked; what /etc/hosts answers is there at once. These are files, and may be
 *      long ones: in a coroutine all this is done on a thread of the runtime's blocking pool
 *   2  the channel says which sockets it has, and for what they are waited for (watch); the caller
 *      waits for one of them, or for the channel's next timeout, and lets it go on: on the pool
 *      once more if that may come to /etc/hosts (nsswitch.conf says "dns files")
 *   3  answered, stopped by the deadline or by a cancel: the channel goes, with its sockets
 *
 * A channel must not be used by two threads at a time. This one belongs to one call, whose
 * coroutine is on one thread at a time, and waits while the pool has it; nothing suspends while
 * c-ares is on the stack. So it needs no lock and no strand, a cancel leaves nothing behind, a
 * runtime can end while names are being looked up, and a plain thread works the same way.
 * (Rejected: one channel for all. Its queries cannot be cancelled one by one, so they outlive their
 * callers; somebody has to drive it, in some runtime; and it keeps the servers of the day when it
 * was made. What it saves is reading three small files, and a socket. To read the files by pirn's
 * own calls: c-ares 1.18 takes no text, so what they mean would be told here.)
 *
 * The sockets are made here, not by c-ares: close-on-exec from the start, SIGPIPE is never raised
 * by a server that hangs up, and why one cannot be had is not lost (EMFILE). (ares_library_init
 * does nothing on Linux, and is left to programs that use c-ares themselves.)
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
    ares_channel channel; /* NULL: it has not been made */
    const struct question *question;
    const pirn_resolve_config *config;
    struct answer *answer;
    struct pollfd *fds; /* the channel's sockets that are waited for */
    size_t n, room;
    struct pollfd *ready; /* what fds was when something was ready */
    size_t ready_n;
    bool files_later; /* going on may come to a file */
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

/* ---- Its sockets: errno is what c-ares looks at ---------------------------------------------- */

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

/* ---- Answers --------------------------------------------------------------------------------- */

/* Without a socket a question has not been asked: that there is no answer means nothing then.
 * (c-ares asks for both families at once, and says what the other one came to.) */
static int error_of(const struct query *q, int status)
{
    bool unanswered =
        status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_ECONNREFUSED;
    if (unanswered && q->os_error != 0)
        return q->os_error;
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
        return -ENOENT;
    case ARES_ENODATA:
        return -ENODATA;
    case ARES_ECONNREFUSED: /* no server is left to be asked */
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

/* ---- The call -------------------------------------------------------------------------------- */

/* Are there files to be asked once servers have been? lookups: "fb", "bf", as nsswitch.conf
 * says. */
static bool has_files_later(ares_channel channel)
{
#ifdef PIRN_HARD
    return true;
#endif
    struct ares_options options = {0};
    int set = 0;
    bool later = true;
    if (ares_save_options(channel, &options, &set) == ARES_SUCCESS && options.lookups != NULL) {
        const char *servers = strchr(options.lookups, 'b');
        later = servers != NULL && strchr(servers, 'f') != NULL;
    }
    ares_destroy_options(&options);
    return later;
}

static int open_channel(struct query *q)
{
    static const struct ares_socket_functions functions = {socket_new, socket_close, socket_connect,
                                                           socket_receive, socket_send};
    const pirn_resolve_config *config = q->config;
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
    if (status != ARES_SUCCESS) {
        q->channel = NULL;
        return status == ARES_ENOMEM ? -ENOMEM : error_of(q, status);
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* 1.34 has another; 1.18 only this */
    ares_set_socket_functions(q->channel, &functions, q);
#pragma GCC diagnostic pop
    if (config->servers != NULL) {
        status = ares_set_servers_ports_csv(q->channel, config->servers);
        if (status != ARES_SUCCESS)
            return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
    }
    q->files_later = has_files_later(q->channel);
    return 0;
}

/* May read files, and be called on the pool; as go_on. */
static int begin(void *arg)
{
    struct query *q = arg;
    const struct question *question = q->question;
    int rc = open_channel(q);
    if (rc != 0)
        return rc;
    if (question->host != NULL) {
        struct ares_addrinfo_hints hints = {.ai_family = question->family,
                                            .ai_socktype = question->type};
        ares_getaddrinfo(q->channel, question->host, NULL, &hints, take_addresses, q);
    } else {
        ares_getnameinfo(q->channel, &question->address->addr.any,
                         (ares_socklen_t)question->address->len,
                         ARES_NI_LOOKUPHOST | ARES_NI_NAMEREQD, take_name, q);
    }
    return 0;
}

/* With what is ready, or with what has timed out. */
static int go_on(void *arg)
{
    struct query *q = arg;
    if (q->ready_n == 0)
        ares_process_fd(q->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    for (size_t i = 0; i < q->ready_n; i++) {
        const struct pollfd *p = &q->ready[i];
        int events = p->revents;
        bool in = (events & ~POLLOUT) != 0, out = (events & (POLLOUT | POLLERR | POLLHUP)) != 0;
        if (events != 0)
            ares_process_fd(q->channel, in ? p->fd : ARES_SOCKET_BAD,
                            out && (p->events & POLLOUT) ? p->fd : ARES_SOCKET_BAD);
    }
    return 0;
}

/* Either of them, where it may block. */
static int on_pool(struct query *q, pirn_fn fn, pirn_time deadline)
{
    int status;
    if (pirn_current() == NULL)
        return fn(q);
    int rc = pirn_blocking(fn, q, &status, deadline);
    return rc != 0 ? rc : status;
}

static pirn_time next_timeout(struct query *q)
{
    struct timeval tv, *left = ares_timeout(q->channel, NULL, &tv);
    if (left == NULL)
        return PIRN_NEVER;
    return pirn_after_us((int64_t)left->tv_sec * 1000000 + left->tv_usec);
}

/* Going on with one changes q->fds: so a copy. */
static int note_ready(struct query *q)
{
    struct pollfd *ready = realloc(q->ready, q->n * sizeof(*ready));
    if (ready == NULL)
        return -ENOMEM;
    memcpy(ready, q->fds, q->n * sizeof(*ready));
    q->ready = ready;
    q->ready_n = q->n;
    return 0;
}

static int drive(struct query *q, pirn_time deadline)
{
    int rc = on_pool(q, begin, deadline);
    while (rc == 0 && !q->done && q->broken == 0) {
        rc = pirn_net_wait_any(q->fds, q->n, earlier(deadline, next_timeout(q)));
        if (rc < 0 && (rc != -ETIMEDOUT || is_past(deadline)))
            return rc;
        q->ready_n = 0;
        rc = rc > 0 ? note_ready(q) : 0;
        if (rc == 0)
            rc = q->files_later ? on_pool(q, go_on, deadline) : go_on(q);
    }
    if (rc != 0)
        return rc;
    return q->done ? q->status : q->broken;
}

int pirn_net_ask_ares(const struct question *question, const pirn_resolve_config *config,
                      struct answer *ret_answer, pirn_time deadline)
{
    struct answer answer = {0};
    struct query q = {.question = question, .config = config, .answer = &answer};
    int rc = drive(&q, deadline);
    if (q.channel != NULL) /* an answer that is still to come is ARES_EDESTRUCTION, and to nobody */
        ares_destroy(q.channel);
    free(q.fds);
    free(q.ready);
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
