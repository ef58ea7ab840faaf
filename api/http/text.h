/* Bytes that grow, and the heads that are written into them. */
#ifndef PIRN_HTTP_TEXT_H
#define PIRN_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    char *data;
    size_t used, cap;
    bool failed; /* memory was missing: what was appended since is not there */
};

void pirn_http_text_free(struct text *t);
/* Room for so many more bytes, at data + used. False: there is no memory. */
bool pirn_http_text_room(struct text *t, size_t n);
void pirn_http_text_grow(struct text *t, const void *bytes, size_t n); /* adds them all the same */

/* Inline, for most pieces of a head are a few bytes, and their length is known to the compiler. */
static inline void pirn_http_text_add(struct text *t, const void *bytes, size_t n)
{
    if (t->failed || t->cap - t->used < n) {
        pirn_http_text_grow(t, bytes, n);
    } else if (n > 0) {
        memcpy(t->data + t->used, bytes, n);
        t->used += n;
    }
}

static inline void pirn_http_text_puts(struct text *t, const char *string)
{
    pirn_http_text_add(t, string, strlen(string));
}

void pirn_http_text_number(struct text *t, uint64_t number);

/* "name: value\r\n". -EINVAL: what is no name or no value (a CR or LF would begin another
 * header). */
int pirn_http_text_field(struct text *t, const char *name, const char *value);

/* The size line of a chunk of n bytes. */
void pirn_http_text_chunk(struct text *t, size_t n);

const char *pirn_http_reason(int status);

/* Where room has been made for all that comes: these write at `at`, and return what is behind. */
static inline char *text_put(char *at, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(at, bytes, n);
    return at + n;
}

static inline char *text_puts(char *at, const char *string)
{
    return text_put(at, string, strlen(string));
}

enum {
    NUMBER_MOST = 20, /* digits */
    STATUS_MOST = 64  /* "HTTP/1.1 200 OK\r\n" */
};
char *pirn_http_put_number(char *at, uint64_t number);
char *pirn_http_put_status(char *at, int status); /* 100 to 999 */

/* Decodes %XX (and '+' as a space, if it is plus) in place. False: it is badly coded, or holds a
 * NUL. */
bool pirn_http_decode(char *string, bool plus);

#endif
