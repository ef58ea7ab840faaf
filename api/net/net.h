/*
 * What the files of api/net/ share: lists of addresses, the wait for one of several descriptors,
 * and the two ways to ask for a name.
 */
#ifndef PIRN_API_NET_NET_H
#define PIRN_API_NET_NET_H

#include <pirn.h>
#include <poll.h>

/* A list that grows; items is what the caller of pirn_resolve gets. */
struct address_list {
    pirn_address *items;
    size_t n, room;
};

/* Appends a copy; port, in the network's order, is put in. 0; -ENOMEM; others than IP are left
 * out. */
int pirn_addresses_add(struct address_list *list, const struct sockaddr *addr, uint16_t port);

/* Waits until one of n descriptors is ready (events, revents as poll(2)'s): how many are.
 * -ETIMEDOUT, and what pirn_poll returns. n 0: until the deadline. [anywhere; suspends] */
int pirn_net_wait_any(struct pollfd *fds, size_t n, pirn_time deadline);

/* Blocking or not, as asked; 0 or -errno. */
int pirn_net_set_nonblocking(int fd, bool on);

/* /run/socket, @abstract. -EINVAL, -ENAMETOOLONG */
int pirn_net_unix_address(const char *path, pirn_address *ret_address);

/* Which file a Unix socket is bound to. */
struct socket_file {
    dev_t dev;
    ino_t ino; /* 0: none */
};

/* pirn_listen_unix, and what it has put there. */
int pirn_net_listen_unix(const char *path, const pirn_listen_config *config,
                         struct socket_file *ret_file, pirn_time deadline);
/* Takes the path away if it is still that file. It may wait for a disk. */
void pirn_net_remove_socket(const char *path, struct socket_file file);

static inline pirn_time earlier(pirn_time a, pirn_time b)
{
    return a.ns < b.ns ? a : b;
}

/* What is to be found out: the addresses of host, or the name of address if host is NULL. */
struct question {
    const char *host;
    const pirn_address *address;
    int family, type;
    uint16_t port; /* for the list; in the network's order */
};

/* The answer: a list, or a name (malloc). On an error there is nothing to free. */
struct answer {
    struct address_list list;
    char *name;
};

/* By c-ares (ares.c), by the libc on a thread (thread.c). 0, or what pirn_resolve returns; -ENOSYS:
 * there is no c-ares in this build. */
int pirn_net_ask_ares(const struct question *question, const pirn_resolve_config *config,
                      struct answer *ret_answer, pirn_time deadline);
int pirn_net_ask_thread(const struct question *question, struct answer *ret_answer,
                        pirn_time deadline);

#endif
