/*
 * JSON by jansson, as deep as a coroutine's stack carries.
 *
 * jansson recurses: a level takes 80 bytes of stack where it is parsed or freed, 300 where it is
 * printed. It parses 2048 levels, so half a KiB of "[" from a client would run over a stack of 64
 * KiB. What comes may have LEVELS_IN levels: freed later in the same coroutine, or sent back inside
 * a few more, it still fits.
 *
 * Rejected: doing it on the blocking pool, where stacks are large. The program frees, and walks
 * through, what it got in its coroutine.
 */
#include "api/http/wire.h"

#include <errno.h>
#include <jansson.h>

enum {
    LEVELS_IN = 64,
    LEVELS_OUT = 100,
};

/* Brackets, but for those in strings. What is no JSON may be counted wrong: it is refused anyway,
 * or jansson stops before it is deeper. */
static bool is_shallow(const char *text, size_t n)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else if ((c == '[' || c == '{') && ++depth > LEVELS_IN)
            return false;
        else if (c == ']' || c == '}')
            depth--;
    }
    return true;
}

int pirn_http_parse_json(const char *text, size_t n, struct json_t **ret_json)
{
    json_t *json = is_shallow(text, n) ? json_loadb(text, n, JSON_DECODE_ANY, NULL) : NULL;
    if (json == NULL)
        return -EBADMSG;
    *ret_json = json;
    return 0;
}

/* Has it no more than so many levels? */
static bool fits(const json_t *json, int levels)
{
    if (json_is_array(json)) {
        bool fit = levels > 0;
        for (size_t i = 0; fit && i < json_array_size(json); i++)
            fit = fits(json_array_get(json, i), levels - 1);
        return fit;
    }
    if (json_is_object(json)) {
        json_t *object = (json_t *)(uintptr_t)json; /* it is only looked at */
        bool fit = levels > 0;
        for (void *at = json_object_iter(object); fit && at != NULL;
             at = json_object_iter_next(object, at))
            fit = fits(json_object_iter_value(at), levels - 1);
        return fit;
    }
    return true;
}

int pirn_http_print_json(const struct json_t *json, char **ret_text)
{
    if (!fits(json, LEVELS_OUT))
        return -EINVAL;
    *ret_text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    return *ret_text != NULL ? 0 : -ENOMEM;
}
