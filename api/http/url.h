/* URLs, as the client takes them. */
#ifndef PIRN_HTTP_URL_H
#define PIRN_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct url {
    bool secure;        /* https */
    bool literal;       /* the host is an IPv6 address: in brackets where it is written */
    char host[256];     /* without brackets, in lower case */
    uint16_t port;      /* by the scheme if none is given */
    const char *target; /* path and query, in the string it was taken from; target_len bytes */
    size_t target_len;
    bool needs_slash; /* the path is empty: "/" goes before the target */
};

/* http://host[:port][/path][?query][#fragment], or https. -EINVAL; also for "user@". */
int pirn_http_url_split(const char *string, struct url *ret_url);

#endif
