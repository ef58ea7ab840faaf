/*
 * The loop below all such libraries: descriptors, and what is to be called when one of them is
 * ready. Python shows it in pseudo-code; here it runs, and a client plays one session against it.
 *
 * Each descriptor has a coroutine that waits for it and makes the call; the wait for all of them at
 * once is the runtime's business. They are on a strand, so that no two callbacks run at the same
 * time, which is what people like about a loop of callbacks. A callback only does what is ready: it
 * never waits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "seeds.h"

typedef struct watch {
    int fd;
    short events; /* what to wait for next */
    /* 0: go on; 1: the descriptor is closed, forget it */
    int (*callback)(struct watch *watch, int events);
    char data[64]; /* read, and to be written */
    size_t used;
} watch;

static pirn_event closed = PIRN_EVENT_INIT; /* the session is over */

static int run_watch(void *arg)
{
    watch *w = arg;
    int events;
    while ((events = pirn_poll(w->fd, (unsigned)w->events, PIRN_NEVER)) > 0 &&
           w->callback(w, events) == 0)
        ;
    return events < 0 ? events : 0;
}

/* (register) On the caller's strand, if it is on one. */
static pirn_task *watch_start(watch *w)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    config.arg_drop = free;
    must(pirn_spawn_with(&task, &config, run_watch, w));
    return task;
}

static watch *watch_new(int fd, int (*callback)(watch *, int))
{
    watch *w = calloc(1, sizeof(*w));
    if (w == NULL)
        must(-ENOMEM);
    w->fd = fd;
    w->events = POLLIN;
    w->callback = callback;
    return w;
}

static int connection_ready(watch *w, int events)
{
    if (events & POLLIN) {
        ssize_t n = recv(w->fd, w->data, sizeof(w->data), MSG_DONTWAIT);
        if (n > 0) {
            w->used = (size_t)n;
            w->events = POLLOUT;
            printf("read: %.*s\n", (int)n, w->data);
            return 0;
        }
    } else if (events & POLLOUT) {
        if (send(w->fd, w->data, w->used, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)w->used) {
            w->events = POLLIN;
            printf("write: %.*s\n", (int)w->used, w->data);
            return 0;
        }
    }
    printf("hang-up\n");
    close(w->fd);
    pirn_event_set(&closed);
    return 1;
}

static int listener_ready(watch *w, int events)
{
    (void)events;
    int conn = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
    if (conn < 0)
        return 0; /* it has gone again */
    printf("accept\n");
    pirn_detach(watch_start(watch_new(conn, connection_ready)));
    return 0;
}

/* What a client in another process would do. */
static int play(const struct sockaddr_in *addr)
{
    char data[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ssize_t n = pirn_connect(fd, (const struct sockaddr *)addr, sizeof(*addr), after(10));
    if (n == 0)
        n = pirn_send(fd, "hello", 5, 0, after(10));
    if (n > 0)
        n = pirn_recv(fd, data, sizeof(data), 0, after(10));
    if (n > 0)
        printf("client got: %.*s\n", (int)n, data);
    pirn_close(fd);
    return n < 0 ? (int)n : 0;
}

static int start(void *arg)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)arg;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)&addr, len) < 0 ||
        listen(listener, 16) < 0 || getsockname(listener, (struct sockaddr *)&addr, &len) < 0)
        must(-errno);

    pirn_task *loop = watch_start(watch_new(listener, listener_ready));
    int err = play(&addr);
    if (err == 0)
        err = pirn_event_wait(&closed, PIRN_NEVER);
    pirn_cancel(loop, "the session is over");
    must(pirn_join(loop, NULL, PIRN_NEVER));
    pirn_close(listener);
    return err;
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    int status;
    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_strand_new(&config.strand));
    must(pirn_runtime_run_until_complete_with(config.runtime, &config, start, NULL, &status));
    pirn_strand_release(config.strand);
    must(pirn_runtime_free(config.runtime));
    return report(status);
}
