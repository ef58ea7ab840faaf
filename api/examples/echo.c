/*
 * A plain TCP echo server on 127.0.0.1: echo [--port N] [--workers W] [--backlog N]. Also what the
 * benchmarks load: its loop is a recv and a send. SIGINT ends it; open connections are cancelled.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pirn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct options {
    int port, workers, backlog;
} options;

/* A task owns its connection. This runs once when the task is done, even if it never began. */
static void close_connection(void *arg)
{
    close((int)(intptr_t)arg);
}

static int serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[4096];
    ssize_t n;

    do {
        n = pirn_recv(fd, buf, sizeof buf, 0, PIRN_NEVER);
    } while (n > 0 && pirn_send(fd, buf, (size_t)n, 0, PIRN_NEVER) == n);
    return 0; /* how one client leaves is nobody else's concern */
}

static int listen_on(const options *o)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    socklen_t len = sizeof addr;
    int on = 1, err;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, o->backlog) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

/* Hands the connection to a task of its own. Without room for one, the client is turned away. */
static void start_serving(int fd)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    int err, on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    config.name = "connection";
    config.arg_drop = close_connection;
    err = pirn_spawn_with(NULL, &config, serve, (void *)(intptr_t)fd);
    if (err < 0 && err != -ESHUTDOWN) /* then arg_drop has closed it */
        close(fd);
}

/* Is it the listener's trouble? The other errors are one connection's: accept(2) passes on those of
 * the network. */
static bool is_over(int err)
{
    return err == -EBADF || err == -EINVAL || err == -ENOTSOCK || err == -ECANCELED ||
           err == -ESHUTDOWN;
}

static int start(void *arg)
{
    int fd, err = 0, listener = listen_on(arg);

    if (listener < 0)
        return listener;
    while (err == 0) {
        fd = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER);
        if (fd >= 0)
            start_serving(fd);
        else if (is_over(fd))
            err = fd;
        else /* no descriptor, say: somebody may leave, the client waits in the backlog meanwhile */
            err = pirn_sleep(pirn_after_ms(10));
    }
    pirn_close(listener);
    return err == -ECANCELED ? 0 : err; /* SIGINT; the runtime now cancels the connections */
}

static int parse(options *o, int argc, char **argv)
{
    static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {"backlog", required_argument, NULL, 'b'},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "p:w:b:", known, NULL)) != -1) {
        if (c == 'p')
            o->port = atoi(optarg);
        else if (c == 'w')
            o->workers = atoi(optarg);
        else if (c == 'b')
            o->backlog = atoi(optarg);
        else
            return -EINVAL;
    }
    return optind == argc && o->port >= 0 && o->port <= 65535 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    options o = {.port = 7000, .workers = 0, .backlog = SOMAXCONN};
    pirn_config config = PIRN_CONFIG_INIT;
    int err, status = 0;

    if (parse(&o, argc, argv) < 0) {
        fprintf(stderr, "usage: echo [--port N] [--workers W] [--backlog N]\n");
        return 2;
    }
    config.flags = PIRN_SIGINT_CANCELS;
    config.workers = o.workers;
    err = pirn_run_with(&config, start, &o, &status);
    if (err == 0)
        err = status;
    if (err < 0 && err != -EINTR) { /* -EINTR: SIGINT, the usual end */
        fprintf(stderr, "echo: %s\n", strerror(-err));
        return 1;
    }
    return 0;
}
