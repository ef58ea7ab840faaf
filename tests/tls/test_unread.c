/*
 * A client that writes, closes and has read nothing: the tickets that its server has sent meanwhile
 * are thrown away first, for a close with bytes unread is a reset, and what is still on its way to
 * a server that takes its time were lost with it.
 */
#include "tests/tls/tls.h"

#include <sys/ioctl.h>

enum {
    MUCH = 128 * 1024 /* more than the server's socket takes, less than the client's does */
};

static pirn_tls_context *client_context, *server_context;

static int unread(void *arg)
{
    static char text[MUCH], heard[MUCH + 1];
    int pair[2], little = 4096, room = 4 * MUCH, tickets = 0;
    struct link link = {
        {.context = client_context, .host = "localhost"},
        {.context = server_context, .is_server = true},
    };
    size_t got;
    (void)arg;
    support_tcp_pair(pair);
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)));
    CHECK_OK(pirn_stream_new(&link.client.below, pair[0], NULL));
    CHECK_OK(pirn_stream_new(&link.server.below, pair[1], NULL));
    pirn_task *client = support_spawn(side_shake, &link.client);
    CHECK_OK(side_shake(&link.server));
    CHECK_OK(support_join(client));
    while (tickets == 0) {
        CHECK_OK(ioctl(pair[0], FIONREAD, &tickets));
        CHECK_OK(pirn_sleep(pirn_after_us(200)));
    }
    memset(text, 'x', sizeof(text));
    CHECK_EQ(pirn_stream_write(link.client.stream, text, MUCH), MUCH);
    CHECK_OK(pirn_stream_close(link.client.stream, PIRN_NEVER));
    pirn_stream_release(link.client.stream);
    CHECK_EQ(pirn_stream_read_exactly(link.server.stream, heard, MUCH + 1, &got, PIRN_NEVER),
             -ENODATA);
    CHECK_EQ(got, MUCH);
    CHECK(memcmp(heard, text, MUCH) == 0);
    CHECK_OK(pirn_stream_close(link.server.stream, PIRN_NEVER));
    pirn_stream_release(link.server.stream);
    return 0;
}

START_TEST(a_close_takes_the_tickets_first)
{
    client_context = client_with("ca", NULL, NULL, 0);
    server_context = server_with("server", NULL, NULL);
    FOR_WORKERS(w) CHECK_OK(support_run(w, unread, NULL));
    pirn_tls_context_release(client_context);
    pirn_tls_context_release(server_context);
}
END_TEST

SUPPORT_MAIN("tls/unread", a_close_takes_the_tickets_first)
