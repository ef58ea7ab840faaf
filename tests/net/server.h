/*
 * What the tests of servers share: a server that listens on 127.0.0.1, clients of it, lines there
 * and back, and a run whose reports are kept.
 */
#ifndef PIRN_TESTS_NET_SERVER_H
#define PIRN_TESTS_NET_SERVER_H

#include "tests/support.h"

#include <stdio.h>

/* ---- Servers ----------------------------------------------------------------------------- */

static inline pirn_server *new_server(pirn_server_fn fn, void *user,
                                      const pirn_server_config *config)
{
    pirn_server *server = NULL;
    CHECK_OK(pirn_server_new(&server, fn, user, config));
    CHECK_OK(pirn_server_listen(server, "127.0.0.1", "0", NULL, PIRN_NEVER));
    return server;
}

static inline void stop_and_release(pirn_server *server)
{
    CHECK_OK(pirn_server_stop(server, PIRN_NEVER));
    pirn_server_release(server);
}

/* A handler. user: counts the connections, or NULL. */
static inline int echo(pirn_stream *stream, void *user)
{
    const char *line;
    ssize_t n;
    if (user != NULL)
        atomic_fetch_add((atomic_int *)user, 1);
    while ((n = pirn_stream_read_line(stream, &line, PIRN_NEVER)) > 0)
        pirn_stream_write(stream, line, (size_t)n);
    return (int)n;
}

/* ---- Clients ----------------------------------------------------------------------------- */

static inline int try_connect(pirn_stream **ret_stream, int port)
{
    char service[8];
    snprintf(service, sizeof(service), "%d", port);
    return pirn_stream_connect(ret_stream, "127.0.0.1", service, NULL, NULL, PIRN_NEVER);
}

static inline pirn_stream *connect_to(pirn_server *server)
{
    pirn_stream *stream = NULL;
    CHECK_OK(try_connect(&stream, pirn_server_port(server)));
    return stream;
}

/* At its place i, where it may listen at several. */
static inline pirn_stream *connect_at(pirn_server *server, size_t i)
{
    pirn_stream *stream = NULL;
    pirn_address address;
    CHECK_OK(pirn_server_address(server, i, &address));
    int fd = pirn_connect_any(&address, 1, NULL, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_OK(pirn_stream_new(&stream, fd, NULL));
    return stream;
}

static inline void hang_up(pirn_stream *stream)
{
    CHECK_OK(pirn_stream_close(stream, PIRN_NEVER));
    pirn_stream_release(stream);
}

/* A line there and back. */
static inline void exchange(pirn_stream *stream, const char *word)
{
    const char *line;
    size_t n = strlen(word);
    CHECK_EQ(pirn_stream_write(stream, word, n), n);
    CHECK_EQ(pirn_stream_read_line(stream, &line, PIRN_NEVER), n);
    CHECK(memcmp(line, word, n) == 0);
}

#endif
