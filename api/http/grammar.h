/*
 * The one door to the parser library: llhttp, or where a system has none (Debian 12) its forerunner
 * http_parser. What they have in common is used under common names; message.c is written to those.
 *
 * What neither is trusted with: line ends, names and control characters. llhttp's lenience depends
 * on its version, and Debian builds http_parser without its strict checks ("5\r\nhelloXY" passes
 * for a chunk). head.c and message.c look at those themselves.
 */
#ifndef PIRN_HTTP_GRAMMAR_H
#define PIRN_HTTP_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef PIRN_HTTP_LLHTTP
#include <llhttp.h>
typedef llhttp_t grammar;
typedef llhttp_settings_t grammar_settings;
#else
#include <http_parser.h>
typedef http_parser grammar;
typedef http_parser_settings grammar_settings;
#endif

/* A message begins. The settings stay as they are. */
void pirn_http_grammar_begin(grammar *g, const grammar_settings *settings, bool response,
                             void *data);

/* Parses n bytes, or up to where a callback stopped; n == 0: the peer has ended. 0, or the HTTP
 * status that tells what is wrong: 400, 501 (a method it does not know). */
int pirn_http_grammar_run(grammar *g, const grammar_settings *settings, const char *data, size_t n,
                          size_t *ret_used);
/* What a callback returns that wants the run to stop behind what it was called for. */
int pirn_http_grammar_stop(grammar *g);

/* From the end of the head on. */
bool pirn_http_grammar_keep_alive(const grammar *g);
const char *pirn_http_grammar_method(const grammar *g);

#endif
