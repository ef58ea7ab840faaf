/*
 * Names, and sockets beyond the plain calls: resolve, connect by name, listen, datagrams,
 * descriptors over a socket, files into a socket.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_NET_H
#define PIRN_NET_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#include <netinet/in.h>
#include <sys/un.h>

/* ---- Addresses --------------------------------------------------------------------------- */

typedef struct pirn_address {
    socklen_t len; /* of what addr holds */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un path;
    } addr;
} pirn_address;

/* "127.0.0.1:80", "[fe80::1%eth0]:80", "/run/socket", "@abstract": its length; -ENOSPC (*ret_text
 * has as much of it as fits), -EAFNOSUPPORT. [anywhere] */
PIRN_API int pirn_address_text(const pirn_address *address, char *ret_text, size_t size);
PIRN_API PIRN_MUST_USE int pirn_local_address(
    int fd, pirn_address *ret_address); /* getsockname; [anywhere] */
PIRN_API PIRN_MUST_USE int pirn_peer_address(
    int fd, pirn_address *ret_address); /* getpeername; [anywhere] */
PIRN_API int pirn_local_port(int fd);   /* of an IP socket; what port 0 has become. [anywhere] */

/* ---- Names --------------------------------------------------------------------------------- */

enum {
    PIRN_RESOLVE_PASSIVE =
        1u << 0, /* to listen on: host NULL is every address, not this machine's own */
    PIRN_RESOLVE_NUMERIC = 1u << 1, /* no names; host and service are numbers, or -ENOENT */
    PIRN_RESOLVE_THREAD = 1u << 2,  /* getaddrinfo(3) on a thread, as in a build without c-ares */
};

typedef struct pirn_resolve_config {
    size_t size;         /* sizeof(pirn_resolve_config), set by PIRN_RESOLVE_CONFIG_INIT */
    unsigned flags;      /* PIRN_RESOLVE_... */
    int family;          /* AF_INET, AF_INET6; 0: both */
    int type;            /* SOCK_DGRAM: service is looked up among UDP's; 0: SOCK_STREAM */
    const char *servers; /* "10.0.0.1,127.0.0.1:5353,[::1]:53"; NULL: those of /etc/resolv.conf */
    int tries;           /* how often each server is asked; 0: as resolv.conf says, or 4 */
    pirn_span timeout;   /* of the first try (it doubles); 0: as resolv.conf says, or 5 s */
} pirn_resolve_config;

#define PIRN_RESOLVE_CONFIG_INIT \
    { \
        sizeof(pirn_resolve_config), 0, 0, 0, NULL, 0, \
        { \
            0 \
        } \
    }

/*
 * The addresses of host, and service's port, best first (RFC 6724). Returns how many; *ret_list is
 * freed by pirn_addresses_free. host: a name, an IPv4 or IPv6 address (fe80::1%eth0 too), or NULL:
 * 127.0.0.1 and ::1, or see PIRN_RESOLVE_PASSIVE. service: a port, a name, or NULL: port 0. config
 * may be NULL. [anywhere; suspends]
 *
 * Numbers ask nobody. Names are looked up as nsswitch.conf says, in /etc/hosts, and by the servers,
 * search domains and options of /etc/resolv.conf. These files are read each time, in a coroutine by
 * a thread of pirn_blocking's pool; no thread waits for the servers. A deadline or a cancel ends it
 * at once, or when a file that is being read has been: so in a coroutine a deadline in the past
 * (PIRN_NOW) gets a number's answer, and for a name, in /etc/hosts or not, -ETIMEDOUT (or what was
 * found, if that took no time). With getaddrinfo (a build without c-ares, or PIRN_RESOLVE_THREAD,
 * which knows no servers, tries and timeout: -EINVAL) it is a job of the default thread pool: given
 * up in the same way, its thread goes on until the libc is through.
 *
 *   -ENOENT     there is no such name
 *   -ENODATA    it has no address of that family
 *   -EAGAIN     the servers have failed, or none of them has answered, or there is no thread to be
 *               had; later it may be different
 *   -EPROTO     a server refused for good, or what it said made no sense
 *   -ESRCH      there is no such service
 *   -EINVAL, -EAFNOSUPPORT, -ENOMEM, -EMFILE, -ENFILE
 *   -ETIMEDOUT, -ECANCELED, -ESHUTDOWN: of the call, as ever
 */
PIRN_API PIRN_MUST_USE int pirn_resolve(const char *host, const char *service,
                                        const pirn_resolve_config *config, pirn_address **ret_list,
                                        pirn_time deadline);
PIRN_API void pirn_addresses_free(pirn_address *list); /* NULL: nothing to do. [anywhere] */

/* The name of an address, by the same means: its length. [anywhere; suspends] -ENOENT: it has none;
 * -ENOSPC, and what pirn_resolve returns. (getnameinfo(3), with NI_NAMEREQD) */
PIRN_API PIRN_MUST_USE int pirn_resolve_name(const pirn_address *address,
                                             const pirn_resolve_config *config, char *ret_name,
                                             size_t size, pirn_time deadline);

/* ---- Connecting ---------------------------------------------------------------------------- */

typedef struct pirn_connect_error {
    pirn_address address;
    int status; /* -errno; -ECANCELED: given up, for another was first, or the call ended; but
                   -ETIMEDOUT: by its deadline */
} pirn_connect_error;

typedef struct pirn_connect_config {
    size_t size; /* sizeof(pirn_connect_config), set by PIRN_CONNECT_CONFIG_INIT */
    const pirn_resolve_config *resolve; /* NULL: the defaults */
    const pirn_address *local; /* to connect from; NULL: any. Other families: -EAFNOSUPPORT */
    pirn_span stagger; /* how long an attempt has before the next is begun as well; 0: 250 ms */
    /* Every attempt that failed, however the call ends, in the order in which they ended: at most
     * errors_max of them; how many there were to *ret_count (NULL: nobody asks). */
    pirn_connect_error *ret_errors;
    size_t errors_max;
    size_t *ret_count;
} pirn_connect_config;

#define PIRN_CONNECT_CONFIG_INIT \
    { \
        sizeof(pirn_connect_config), NULL, NULL, {0}, NULL, 0, NULL \
    }

/*
 * A TCP connection to a name: the new descriptor, blocking and close-on-exec, the caller's. config
 * may be NULL. [anywhere; suspends] Its addresses are tried in turn, IPv6 and IPv4 alternating; the
 * next is begun when one has failed, or has not answered for config->stagger, and the first that is
 * connected wins. Nothing is left of the others, nor of any when the call is ended by its deadline
 * or a cancel. If all fail: the first error that says more than that there is no way to that
 * address. Beyond that: what pirn_resolve returns, -EMFILE, ... (RFC 8305; it begins when all
 * addresses are known.)
 */
PIRN_API PIRN_MUST_USE int pirn_connect_host(const char *host, const char *service,
                                             const pirn_connect_config *config, pirn_time deadline);
/* The same with n IP addresses that are known. config->resolve is not used. -EINVAL: none. */
PIRN_API PIRN_MUST_USE int pirn_connect_any(const pirn_address *list, size_t n,
                                            const pirn_connect_config *config, pirn_time deadline);
/* A connection to a Unix stream socket; @name: an abstract one. (A path is looked up by a thread of
 * pirn_blocking's pool, as for pirn_connect: it may be on a slow file system.) [anywhere; suspends]
 * -ENAMETOOLONG, ... */
PIRN_API PIRN_MUST_USE int pirn_connect_unix(const char *path, pirn_time deadline);

/* A stream over a TCP connection to a name, which pirn_connect_host makes; both configs may be
 * NULL. The caller owns the reference. [anywhere; suspends] What these two return. (asyncio's
 * open_connection) */
PIRN_API PIRN_MUST_USE int pirn_stream_connect(pirn_stream **ret_stream, const char *host,
                                               const char *service,
                                               const pirn_connect_config *connect_config,
                                               const pirn_stream_config *stream_config,
                                               pirn_time deadline);
PIRN_API PIRN_MUST_USE int pirn_stream_connect_unix(pirn_stream **ret_stream, const char *path,
                                                    const pirn_stream_config *config,
                                                    pirn_time deadline);

/* ---- Listening ----------------------------------------------------------------------------- */

enum {
    PIRN_LISTEN_REUSEPORT = 1u << 0, /* several sockets of one port, which share the connections */
    PIRN_LISTEN_NO_REUSEADDR =
        1u << 1,                  /* not while old connections linger (a bind is -EADDRINUSE) */
    PIRN_LISTEN_V6ONLY = 1u << 2, /* an IPv6 socket takes no IPv4 */
};

typedef struct pirn_listen_config {
    size_t size;    /* sizeof(pirn_listen_config), set by PIRN_LISTEN_CONFIG_INIT */
    unsigned flags; /* PIRN_LISTEN_... */
    int backlog;    /* connections that wait for an accept; 0: as many as may be */
    const pirn_resolve_config *resolve; /* NULL: the defaults */
} pirn_listen_config;

#define PIRN_LISTEN_CONFIG_INIT \
    { \
        sizeof(pirn_listen_config), 0, 0, NULL \
    }

/*
 * A TCP socket that listens: the new descriptor, for pirn_accept, the caller's. host NULL: every
 * address, of IPv4 and IPv6 by one socket where there is IPv6. Of a name with several addresses,
 * the first that can be had (pirn_resolve and pirn_listen_at give them all). service "0" or NULL: a
 * free port, see pirn_local_port. config may be NULL. [anywhere; suspends for a name] -EADDRINUSE,
 * -EACCES, -EADDRNOTAVAIL, ...; what pirn_resolve returns.
 * Of a process that is killed, or crashes, while it accepts, the kernel takes the requests down a
 * little after it has ended: its port (its Unix path, too) stays -EADDRINUSE for some 10 ms, at
 * times for half a second. Who starts a server again after such an end tries for a second.
 */
PIRN_API PIRN_MUST_USE int pirn_listen(const char *host, const char *service,
                                       const pirn_listen_config *config, pirn_time deadline);
/* The same at one address. [anywhere; does not suspend] */
PIRN_API PIRN_MUST_USE int pirn_listen_at(const pirn_address *address,
                                          const pirn_listen_config *config);
/*
 * A Unix stream socket that listens at path; @name: an abstract one. A socket that lies there, left
 * by a process that is gone, is taken away first; anything else is left alone: -EADDRINUSE. Of
 * config the backlog counts. The path is the caller's to unlink. [anywhere; suspends] No worker
 * waits for the disk the path is on: a thread of pirn_blocking's pool does, and once it has begun
 * the call ends when it is through.
 * -ENAMETOOLONG, -ENOENT, ...; what pirn_blocking returns.
 */
PIRN_API PIRN_MUST_USE int pirn_listen_unix(const char *path, const pirn_listen_config *config,
                                            pirn_time deadline);

/* ---- Options ------------------------------------------------------------------------------- */

PIRN_API int pirn_set_nodelay(int fd,
                              bool on); /* TCP_NODELAY: small writes go out at once; [anywhere] */
/* A connection that is silent for idle seconds is probed every interval seconds, and given up after
 * so many probes without an answer: -ETIMEDOUT. idle 0: never. [anywhere] 0, -EBADF, -ENOTSOCK,
 * -EOPNOTSUPP, ... */
PIRN_API int pirn_set_keepalive(int fd, int idle_s, int interval_s, int probes);

/* ---- Datagrams ----------------------------------------------------------------------------- */

/* A UDP socket bound to address; NULL: unbound, of family (else that is not looked at): the
 * descriptor. [anywhere] -EAFNOSUPPORT (neither AF_INET nor AF_INET6), -EADDRINUSE, -EMFILE, ... */
PIRN_API PIRN_MUST_USE int pirn_udp(int family, const pirn_address *address);

/*
 * One datagram, and from whom (ret_from may be NULL): its length. One that is longer than n is
 * -EMSGSIZE: buf has its first n bytes and *ret_from is written, the rest is lost. With MSG_TRUNC
 * in flags it is its real length instead. Unix datagrams likewise. [anywhere; suspends]
 */
PIRN_API PIRN_MUST_USE ssize_t pirn_recvfrom(int fd, void *buf, size_t n, int flags,
                                             pirn_address *ret_from, pirn_time deadline);
/* One datagram, all of it: n. to NULL: to where it is connected. [anywhere; suspends] -EMSGSIZE:
 * too long for the socket. A Unix receiver's full queue is waited for; its path is looked up by the
 * worker, at each send: where that may be slow, connect the socket first. */
PIRN_API PIRN_MUST_USE ssize_t pirn_sendto(int fd, const void *buf, size_t n, int flags,
                                           const pirn_address *to, pirn_time deadline);

/* ---- Descriptors over a Unix socket ---------------------------------------------------------- */

/* Sends n bytes, at least one, and with the first of them copies of count (1 to 253) descriptors.
 * Returns as pirn_send: once a byte has gone, so have they. [anywhere; suspends] */
PIRN_API PIRN_MUST_USE ssize_t pirn_send_fds(int fd, const void *buf, size_t n, const int *fds,
                                             size_t count, pirn_time deadline);
/*
 * Receives 1 to n bytes, as pirn_recv, and what descriptors came with them: at most max (253) of
 * them to ret_fds, how many to *ret_count. They are close-on-exec and the caller's. Were there
 * more, or has the process no room for them (RLIMIT_NOFILE), those beyond are closed and it is
 * -EMSGSIZE, as with a datagram of more than n bytes: then ret_fds and *ret_count are written all
 * the same, as is buf. [anywhere; suspends]
 */
PIRN_API PIRN_MUST_USE ssize_t pirn_recv_fds(int fd, void *buf, size_t n, int *ret_fds, size_t max,
                                             size_t *ret_count, pirn_time deadline);

/* ---- Files ------------------------------------------------------------------ */

/*
 * Sends n bytes of the file in_fd, from offset on, to the socket or pipe out_fd: as pirn_send;
 * fewer also if the file ends before. n 0: to its end. The file's position stays. [anywhere;
 * suspends] No worker waits for the disk: what is not in memory is read by the ring first.
 */
PIRN_API PIRN_MUST_USE ssize_t pirn_sendfile(int out_fd, int in_fd, off_t offset, size_t n,
                                             pirn_time deadline);

#endif
