/* Where a head ends, and whether its lines are what they should be. */
#ifndef PIRN_HTTP_HEAD_H
#define PIRN_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where in the head; one has 64 KiB at most. */
struct head_scan {
    uint32_t line;     /* where the first line begins that has not been looked at */
    uint32_t searched; /* up to here there is no end of that line */
    int lines;         /* looked at, without empty ones before the first */
    uint32_t target;   /* how long a request's is */
};

struct head_limits {
    size_t head, target;
    int headers;
};

/*
 * data: the head as far as it has come, n bytes of it; each time from its beginning. The length of
 * the head, its empty line included, when it is all there; 0: more is needed; or, negative, the
 * HTTP status that tells what is wrong.
 */
ssize_t pirn_http_head_scan(struct head_scan *scan, bool response, const struct head_limits *limits,
                            const char *data, size_t n);

bool pirn_http_is_token(const char *text, size_t n);
/* What a header's value may hold: no control characters but the tab. */
bool pirn_http_is_value(const char *text, size_t n);

#endif
