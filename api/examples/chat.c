/*
 * A chat: chat [PORT [CLIENTS [IDLE_S]]] on 127.0.0.1; 7000, 100, 300 if nothing is said. A line
 * that one client sends goes to all others. One too many is told so, who is silent too long leaves,
 * and who does not read is dropped. SIGINT or SIGTERM ends it: everybody is told.
 *
 * pirn_server accepts, and runs client() for each connection. A broadcast never waits for a slow
 * client: pirn_stream_write takes all, and what is not sent yet is looked at instead of drained.
 */
#include <errno.h>
#include <pirn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_BEHIND = 256 * 1024 /* bytes a client may leave unread */
};

typedef struct room {
    pirn_mutex mutex;
    pirn_stream **clients; /* by mutex: the first count of limit places */
    int count, limit;
    int idle_s;
    const char *port;
} room;

static void tell(pirn_stream *to, const char *text)
{
    pirn_stream_write(to, text, strlen(text));
}

/* A stream in the room is there: its client takes it out, under the mutex, before it goes. */
static int enter(room *r, pirn_stream *stream)
{
    PIRN_GUARD_MUTEX(guard, &r->mutex, PIRN_NEVER);
    if (guard.error != 0)
        return guard.error;
    if (r->count == r->limit)
        return -ENOSPC;
    r->clients[r->count++] = stream;
    return 0;
}

static void leave(room *r, const pirn_stream *stream)
{
    pirn_shield_enter(); /* also one that is cancelled must come through this */
    if (pirn_mutex_lock(&r->mutex, PIRN_NEVER) == 0) {
        int i = 0;
        while (r->clients[i] != stream)
            i++;
        r->clients[i] = r->clients[--r->count];
        pirn_mutex_unlock(&r->mutex);
    }
    pirn_shield_leave();
}

static int broadcast(room *r, const pirn_stream *from, const char *line, size_t n)
{
    PIRN_GUARD_MUTEX(guard, &r->mutex, PIRN_NEVER);
    if (guard.error != 0)
        return guard.error;
    for (int i = 0; i < r->count; i++) {
        pirn_stream *to = r->clients[i];
        if (to == from)
            continue;
        if (pirn_stream_pending(to) > MAX_BEHIND)
            pirn_stream_abort(to); /* its read ends with -EBADF, and it leaves */
        else
            pirn_stream_write(to, line, n); /* one that has gone: its own read says so */
    }
    return 0;
}

static int client(pirn_stream *stream, void *user)
{
    room *r = user;
    const char *line;
    ssize_t n;
    int rc = enter(r, stream);

    if (rc == -ENOSPC)
        tell(stream, "the room is full\n");
    if (rc != 0)
        return 0;
    tell(stream, "welcome\n");
    while (rc == 0 && (n = pirn_stream_read_line(stream, &line, PIRN_NEVER)) != 0)
        rc = n > 0 ? broadcast(r, stream, line, (size_t)n) : (int)n;
    leave(r, stream);
    if (rc == -ETIMEDOUT)
        tell(stream, "you were silent too long\n");
    if (rc == -ECANCELED)
        tell(stream, "the room closes\n");
    return 0; /* how one client leaves is nobody else's concern */
}

static int serve(pirn_server *server, const room *r)
{
    int rc = pirn_server_listen(server, "127.0.0.1", r->port, NULL, PIRN_NEVER);

    if (rc < 0)
        return rc;
    printf("listening on 127.0.0.1:%d\n", pirn_server_port(server));
    fflush(stdout);
    rc = pirn_server_serve(server);
    pirn_server_stop(server, PIRN_NOW); /* nobody leaves by himself: all are cancelled */
    return rc == -ECANCELED ? 0 : rc;
}

static int start(void *arg)
{
    room *r = arg;
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    pirn_server *server;

    config.idle = pirn_span_s(r->idle_s);
    int rc = pirn_server_new(&server, client, r, &config);
    if (rc == 0) {
        rc = serve(server, r);
        pirn_server_release(server);
    }
    return rc;
}

int main(int argc, char **argv)
{
    room r = {.mutex = PIRN_MUTEX_INIT, .port = "7000", .limit = 100, .idle_s = 300};
    pirn_config config = PIRN_CONFIG_INIT;
    int status = 0;

    if (argc > 1)
        r.port = argv[1];
    if (argc > 2)
        r.limit = atoi(argv[2]);
    if (argc > 3)
        r.idle_s = atoi(argv[3]);
    if (argc > 4 || r.limit < 1 || r.idle_s < 1) {
        fprintf(stderr, "usage: chat [PORT [CLIENTS [IDLE_S]]]\n");
        return 2;
    }
    r.clients = calloc((size_t)r.limit, sizeof(*r.clients));
    config.flags = PIRN_SIGINT_CANCELS | PIRN_SIGTERM_CANCELS;
    int rc = r.clients != NULL ? pirn_run_with(&config, start, &r, &status) : -ENOMEM;
    free(r.clients);
    if (rc == 0)
        rc = status;
    if (rc < 0 && rc != -EINTR) { /* -EINTR: a signal before it could listen */
        fprintf(stderr, "chat: %s\n", strerror(-rc));
        return 1;
    }
    return 0;
}
