/* The parser is http_parser (2.9: the last, and what Debian 12 has). */
#include "api/http/grammar.h"

#ifndef PIRN_HTTP_LLHTTP

void pirn_http_grammar_begin(grammar *g, const grammar_settings *settings, bool response,
                             void *data)
{
    (void)settings;
    http_parser_init(g, response ? HTTP_RESPONSE : HTTP_REQUEST);
    g->data = data;
}

int pirn_http_grammar_run(grammar *g, const grammar_settings *settings, const char *data, size_t n,
                          size_t *ret_used)
{
    size_t used = http_parser_execute(g, settings, data, n);
    switch (HTTP_PARSER_ERRNO(g)) {
    case HPE_OK:
    case HPE_PAUSED:
        *ret_used = used < n ? used : n;
        return 0;
    case HPE_INVALID_METHOD:
        return 501;
    default:
        return 400;
    }
}

int pirn_http_grammar_stop(grammar *g)
{
    http_parser_pause(g, 1);
    return 0;
}

bool pirn_http_grammar_keep_alive(const grammar *g)
{
    return http_should_keep_alive(g) != 0;
}

const char *pirn_http_grammar_method(const grammar *g)
{
    return http_method_str((enum http_method)g->method);
}

#endif
