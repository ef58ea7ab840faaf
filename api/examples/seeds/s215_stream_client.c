/*
 * The client of S214: s215_stream_client [PORT].
 */
#include "seeds.h"

enum {
    MAX_MSGLEN = 100
};

static int echo_client(void *arg)
{
    static const char data[] = "Hello Streams";
    char received[MAX_MSGLEN];
    pirn_stream *stream;
    must(pirn_stream_connect(&stream, "127.0.0.1", arg, NULL, NULL, after(10)));
    pirn_stream_write(stream, data, strlen(data));
    must(pirn_stream_drain(stream, after(10)));
    printf("sent: %s\n", data);
    int n = must((int)pirn_stream_read(stream, received, sizeof(received), after(10)));
    printf("received: %.*s\n", n, received);
    must(pirn_stream_close(stream, after(10)));
    pirn_stream_release(stream);
    return 0;
}

int main(int argc, char **argv)
{
    return report(pirn_run(echo_client, argc > 1 ? argv[1] : "2444"));
}
