/*
 * Which handler answers a request: patterns of segments, the most special first.
 *
 * Two patterns are compared segment by segment: a literal goes before a {name}, that before a
 * {name...}. Routes are kept in that order, so the first that matches is the one. A request's path
 * is cut at its slashes first and decoded then, so that an escaped slash is a character of a
 * segment.
 *
 * A tree would look at fewer routes; a server has some dozens, and comparing two first segments
 * takes nanoseconds.
 */
#include "api/http/router.h"

#include "api/http/head.h"
#include "api/http/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cuts "/a/b" into "a", "b"; "/" into "". How many; MAX_SEGMENTS + 1: too many. */
static size_t cut(char *path, const char **segments)
{
    size_t n = 0;
    while (*path == '/') {
        *path++ = '\0';
        if (n == MAX_SEGMENTS)
            return MAX_SEGMENTS + 1;
        segments[n++] = path;
        path = strchrnul(path, '/');
    }
    return n;
}

/* ---- Adding ------------------------------------------------------------------------------ */

static int kind(const struct route *route, size_t i)
{
    if (i >= route->count)
        return 3; /* ends here */
    if (route->segments[i][0] != '{')
        return 0;
    return route->tail && i == route->count - 1 ? 2 : 1;
}

/* GET serves HEAD as well, and "*" all: what is for one method alone goes first. */
static int breadth(const struct route *route)
{
    return strcmp(route->method, "*") == 0 ? 2 : strcmp(route->method, "GET") == 0;
}

/* < 0: a goes first. */
static int compare(const struct route *a, const struct route *b)
{
    size_t most = a->count > b->count ? a->count : b->count;
    for (size_t i = 0; i < most; i++) {
        int difference = kind(a, i) - kind(b, i);
        if (difference != 0)
            return difference;
        if (kind(a, i) == 0) {
            difference = strcmp(a->segments[i], b->segments[i]);
            if (difference != 0)
                return difference;
        }
    }
    return breadth(a) - breadth(b);
}

/* {name} becomes "{name". */
static int check_segments(struct route *route)
{
    size_t params = 0;
    for (size_t i = 0; i < route->count; i++) {
        char *segment = route->text + (route->segments[i] - route->text);
        size_t n = strlen(segment);
        if (segment[0] != '{') {
            if (strpbrk(segment, "{}") != NULL)
                return -EINVAL;
            continue;
        }
        if (n < 3 || segment[n - 1] != '}' || strcspn(segment + 1, "{}") != n - 2 ||
            ++params > MAX_PARAMS)
            return -EINVAL;
        segment[n - 1] = '\0';
        if (n >= 6 && strcmp(segment + n - 4, "...") == 0) {
            if (i != route->count - 1)
                return -EINVAL;
            route->tail = true;
            segment[n - 4] = '\0';
        }
    }
    return 0;
}

static void free_route(struct route *route)
{
    free(route->method);
    free(route->text);
    free(route->segments);
}

static int make_route(struct route *route, const char *method, const char *pattern)
{
    const char *segments[MAX_SEGMENTS];
    memset(route, 0, sizeof(*route));
    route->method = strdup(method);
    route->text = strdup(pattern);
    if (route->method == NULL || route->text == NULL)
        return -ENOMEM;
    route->count = cut(route->text, segments);
    if (route->count == 0 || route->count > MAX_SEGMENTS)
        return -EINVAL;
    route->segments = malloc(route->count * sizeof(*segments));
    if (route->segments == NULL)
        return -ENOMEM;
    memcpy(route->segments, segments, route->count * sizeof(*segments));
    return check_segments(route);
}

static int insert(struct router *router, const struct route *route)
{
    size_t i = 0;
    if (router->count == router->cap) {
        size_t cap = router->cap == 0 ? 16 : 2 * router->cap;
        struct route *routes = realloc(router->routes, cap * sizeof(*routes));
        if (routes == NULL)
            return -ENOMEM;
        router->routes = routes;
        router->cap = cap;
    }
    while (i < router->count && compare(&router->routes[i], route) <= 0) {
        if (compare(&router->routes[i], route) == 0 &&
            strcmp(router->routes[i].method, route->method) == 0)
            return -EEXIST;
        i++;
    }
    memmove(&router->routes[i + 1], &router->routes[i], (router->count - i) * sizeof(*route));
    router->routes[i] = *route;
    router->count++;
    return 0;
}

int pirn_http_router_add(struct router *router, const char *method, const char *pattern,
                         pirn_http_handler handler, void *user, unsigned flags, int64_t max_body)
{
    struct route route;
    if (!pirn_http_is_token(method, strlen(method)) || strpbrk(pattern, "?# %") != NULL)
        return -EINVAL;
    int err = make_route(&route, method, pattern);
    if (err == 0) {
        route.handler = handler;
        route.user = user;
        route.flags = flags;
        route.max_body = max_body;
        err = insert(router, &route);
    }
    if (err < 0)
        free_route(&route);
    return err;
}

void pirn_http_router_free(struct router *router)
{
    for (size_t i = 0; i < router->count; i++)
        free_route(&router->routes[i]);
    free(router->routes);
}

/* ---- Finding ----------------------------------------------------------------------------- */

static bool fits(const struct route *route, const char *const *segments, size_t count)
{
    if (route->tail ? count < route->count : count != route->count)
        return false;
    for (size_t i = 0; i < route->count; i++)
        if (route->segments[i][0] != '{' && strcmp(route->segments[i], segments[i]) != 0)
            return false;
    return true;
}

static bool serves(const struct route *route, const char *method)
{
    return strcmp(route->method, "*") == 0 || strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* Segments are decoded where they are, so each gets shorter: a tail is joined again, from the
 * left. */
static void join(const char *const *segments, size_t from, size_t count)
{
    char *end = (char *)segments[from] + strlen(segments[from]);
    for (size_t i = from + 1; i < count; i++) {
        size_t n = strlen(segments[i]);
        *end++ = '/';
        memmove(end, segments[i], n + 1);
        end += n;
    }
}

int pirn_http_router_find(const struct router *router, const char *method, char *path,
                          struct match *ret_match)
{
    const char *segments[MAX_SEGMENTS];
    bool coded = strchr(path, '%') != NULL;
    size_t count = cut(path, segments);
    ret_match->route = NULL;
    ret_match->other_method = false;
    if (count > MAX_SEGMENTS)
        return 0;
    for (size_t i = 0; coded && i < count; i++)
        if (!pirn_http_decode((char *)segments[i], false))
            return -EINVAL;
    for (size_t i = 0; i < router->count; i++) {
        const struct route *route = &router->routes[i];
        if (!fits(route, segments, count))
            continue;
        if (!serves(route, method)) {
            ret_match->other_method = true;
            continue;
        }
        ret_match->route = route;
        if (route->tail)
            join(segments, route->count - 1, count);
        for (size_t j = 0, n = 0; j < route->count; j++)
            if (route->segments[j][0] == '{')
                ret_match->params[n++] = (uint16_t)(segments[j] - path);
        return 0;
    }
    return 0;
}

const char *pirn_http_router_param(const struct match *match, const char *path, const char *name)
{
    const struct route *route = match->route;
    for (size_t j = 0, n = 0; route != NULL && j < route->count; j++) {
        if (route->segments[j][0] != '{')
            continue;
        if (strcmp(route->segments[j] + 1, name) == 0)
            return path + match->params[n];
        n++;
    }
    return NULL;
}

void pirn_http_router_methods(const struct router *router, char *path, char *ret_list, size_t size)
{
    const char *segments[MAX_SEGMENTS];
    size_t count = cut(path, segments), used = 0;
    ret_list[0] = '\0';
    for (size_t i = 0; i < count && count <= MAX_SEGMENTS; i++)
        pirn_http_decode((char *)segments[i], false);
    for (size_t i = 0; i < router->count && count <= MAX_SEGMENTS; i++) {
        const char *method = router->routes[i].method;
        if (!fits(&router->routes[i], segments, count))
            continue;
        int n = snprintf(ret_list + used, size - used, "%s%s%s", used > 0 ? ", " : "", method,
                         strcmp(method, "GET") == 0 ? ", HEAD" : "");
        if ((size_t)n >= size - used) {
            ret_list[used] = '\0'; /* no room: it is left out */
            return;
        }
        used += (size_t)n;
    }
}
