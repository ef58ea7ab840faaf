/*
 * The parser is llhttp. Tried with 9.4.3: the tests, and a hundred thousand inputs for each of the
 * fuzz targets. A request of sixteen in a row (perf/bench/http.c) takes 3,130 instructions with it,
 * where http_parser's takes 3,390.
 */
#include "api/http/grammar.h"

#ifdef PIRN_HTTP_LLHTTP

void pirn_http_grammar_begin(grammar *g, const grammar_settings *settings, bool response,
                             void *data)
{
    llhttp_init(g, response ? HTTP_RESPONSE : HTTP_REQUEST, settings);
    g->data = data;
}

int pirn_http_grammar_run(grammar *g, const grammar_settings *settings, const char *data, size_t n,
                          size_t *ret_used)
{
    llhttp_errno_t err = n > 0 ? llhttp_execute(g, data, n) : llhttp_finish(g);
    (void)settings;
    switch (err) {
    case HPE_OK:
        *ret_used = n;
        return 0;
    case HPE_PAUSED:
    case HPE_PAUSED_UPGRADE: /* upgrades are not for us: it is read as any message */
        *ret_used = n > 0 ? (size_t)(llhttp_get_error_pos(g) - data) : 0;
        return 0;
    case HPE_INVALID_METHOD:
        return 501;
    default:
        return 400;
    }
}

int pirn_http_grammar_stop(grammar *g)
{
    (void)g;
    return HPE_PAUSED;
}

bool pirn_http_grammar_keep_alive(const grammar *g)
{
    return llhttp_should_keep_alive(g) != 0;
}

const char *pirn_http_grammar_method(const grammar *g)
{
    return llhttp_method_name((llhttp_method_t)g->method);
}

#endif
