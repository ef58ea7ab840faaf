/*
 * A text after printf's pattern, of any length.
 */
#ifndef PIRN_API_FORMAT_H
#define PIRN_API_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

struct formatted {
    char small[256];
    char *at; /* small, or malloc's */
    size_t n; /* bytes, without the NUL behind them */
};

/* 0; -EINVAL (format is NULL), -EILSEQ, -EOVERFLOW, -ENOMEM: nothing is to be freed. */
int pirn_format(struct formatted *ret_text, const char *format, va_list args);
void pirn_format_free(struct formatted *text);

#endif
