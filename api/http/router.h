/* Which handler answers a request. */
#ifndef PIRN_HTTP_ROUTER_H
#define PIRN_HTTP_ROUTER_H

#include <pirn/http.h>

enum {
    MAX_PARAMS = 16,  /* in one pattern */
    MAX_SEGMENTS = 64 /* of a path; with more there is no route */
};

struct route {
    char *method;
    char *text;            /* the pattern, cut up */
    const char **segments; /* in text; {name} is kept as "{name" */
    size_t count;
    bool tail; /* the last is {name...} */
    pirn_http_handler handler;
    void *user;
    unsigned flags;
    int64_t max_body; /* -1: any */
};

struct router {
    struct route *routes; /* the most special first */
    size_t count, cap;
};

struct match {
    const struct route *route; /* NULL: none */
    uint16_t
        params[MAX_PARAMS]; /* where in the path the values of its {names} are; a head has 64 KiB */
    bool other_method;      /* no route, but there is one for another method */
};

int pirn_http_router_add(struct router *router, const char *method, const char *pattern,
                         pirn_http_handler handler, void *user, unsigned flags, int64_t max_body);
void pirn_http_router_free(struct router *router);

/* path is cut up, and decoded in place: values of parameters lie in it. 0, or -EINVAL: badly
 * coded. */
int pirn_http_router_find(const struct router *router, const char *method, char *path,
                          struct match *ret_match);
/* What stands in that path for {name}; NULL: there is no such thing. */
const char *pirn_http_router_param(const struct match *match, const char *path, const char *name);

/* "GET, HEAD, POST": what there is for the path that was looked for last, written into list; path
 * as pirn_http_router_find has left it is not needed: it is a fresh copy. */
void pirn_http_router_methods(const struct router *router, char *path, char *ret_list, size_t size);

#endif
