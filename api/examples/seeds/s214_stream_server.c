/*
 * A server of streams that sends back what it gets, 100 bytes of it at most: s214_stream_server
 * [PORT [CLIENTS [TEXT]]], 2444 if nothing is said. SIGINT ends it, or that it has served so many
 * clients. Given a text, it is a client of its own as well, and sends that.
 *
 * A coroutine for each client, in parallel on all workers. Its connection is closed when it
 * returns, whatever it returns; asyncio's example does so in a finally.
 */
#include <errno.h>
#include <stdatomic.h>

#include "seeds.h"

enum {
    MAX_MSGLEN = 100 /* of a message, in bytes */
};

struct job {
    const char *port, *text;
    atomic_long left; /* clients, if it was not 0 at first */
    pirn_server *server;
};

static int handle(pirn_stream *stream, void *user)
{
    struct job *job = user;
    char data[MAX_MSGLEN];
    ssize_t n = pirn_stream_read(stream, data, sizeof(data), after(10));
    int len = (int)n;
    if (n >= 0) {
        printf("received: %.*s\n", len, data);
        pirn_stream_write(stream, data, (size_t)n);
        n = pirn_stream_drain(stream, after(10)); /* with the write, as much as a sendall */
        printf("sent: %.*s\n", len, data);
    }
    printf("the connection is closed\n");
    if (atomic_fetch_sub(&job->left, 1) == 1)
        pirn_server_close(job->server);
    return (int)n;
}

static int say(void *arg)
{
    struct job *job = arg;
    char port[8], answer[MAX_MSGLEN];
    pirn_stream *stream;
    snprintf(port, sizeof(port), "%d", pirn_server_port(job->server));
    must(pirn_stream_connect(&stream, "127.0.0.1", port, NULL, NULL, after(10)));
    pirn_stream_write(stream, job->text, strlen(job->text));
    must((int)pirn_stream_read(stream, answer, sizeof(answer), after(10)));
    pirn_stream_release(stream);
    return 0;
}

static int serve(void *arg)
{
    struct job *job = arg;
    must(pirn_server_new(&job->server, handle, job, NULL));
    must(pirn_server_listen(job->server, "127.0.0.1", job->port, NULL, PIRN_NEVER));
    printf("listening on 127.0.0.1:%d\n", pirn_server_port(job->server));
    pirn_task *client = NULL;
    if (job->text != NULL)
        must(pirn_spawn(&client, say, job));
    int rc = pirn_server_serve(job->server);
    if (rc == -ESHUTDOWN)
        rc = 0; /* it has served them all before this came to wait for it */
    pirn_server_stop(job->server, after(1));
    if (client != NULL)
        must(pirn_join(client, NULL, PIRN_NEVER));
    pirn_server_release(job->server);
    return rc;
}

int main(int argc, char **argv)
{
    struct job job = {.port = argc > 1 ? argv[1] : "2444", .text = argc > 3 ? argv[3] : NULL};
    job.left = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    pirn_config config = PIRN_CONFIG_INIT;
    int status = 0;
    config.flags = PIRN_SIGINT_CANCELS;
    must(pirn_run_with(&config, serve, &job, &status));
    return report(status == -EINTR ? 0 : status);
}
