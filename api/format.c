/*
 * Formatting; see format.h.
 */
#include "api/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* In one go, without a call that suspends: errno is this thread's throughout. */
static int print(char *at, size_t size, const char *format, va_list args)
{
    int n = vsnprintf(at, size, format, args);
    return n >= 0 ? n : errno == EOVERFLOW ? -EOVERFLOW : -EILSEQ;
}

int pirn_format(struct formatted *ret_text, const char *format, va_list args)
{
    va_list again;
    if (format == NULL)
        return -EINVAL;
    va_copy(again, args);
    int n = print(ret_text->small, sizeof(ret_text->small), format, args);
    ret_text->at = ret_text->small;
    if (n >= (int)sizeof(ret_text->small)) {
        ret_text->at = malloc((size_t)n + 1);
        n = ret_text->at != NULL ? print(ret_text->at, (size_t)n + 1, format, again) : -ENOMEM;
    }
    va_end(again);
    ret_text->n = n >= 0 ? (size_t)n : 0;
    if (n < 0)
        pirn_format_free(ret_text);
    return n < 0 ? n : 0;
}

void pirn_format_free(struct formatted *text)
{
    if (text->at != text->small)
        free(text->at);
    text->at = text->small;
}
