/*
 * An upper-casing echo server: upper_server [PORT]. Each connection is a child of one scope;
 * SIGINT cancels main, main cancels the scope, and the scope closes when the last child has ended.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <pirn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    IDLE_S = 60
}; /* a client silent for this long is sent away */

/* A child owns its connection. This runs once when the child is done, even if it never began. */
static void close_connection(void *arg)
{
    close((int)(intptr_t)arg);
}

static int serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[1024];
    ssize_t n, i;

    for (;;) {
        n = pirn_recv(fd, buf, sizeof buf, 0, pirn_after_s(IDLE_S));
        if (n <= 0)
            return 0; /* gone, silent too long, or cancelled: no reason to end the others */
        for (i = 0; i < n; i++)
            buf[i] = (char)toupper((unsigned char)buf[i]);
        if (pirn_send(fd, buf, (size_t)n, 0, pirn_after_s(IDLE_S)) != n)
            return 0;
    }
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof addr;
    int on = 1, err;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

/* Is it the listener's trouble? The other errors are one connection's: accept(2) passes on those of
 * the network. */
static bool is_over(int err)
{
    return err == -EBADF || err == -EINVAL || err == -ENOTSOCK || err == -ECANCELED ||
           err == -ESHUTDOWN;
}

/* Takes connections until something ends it; -ECANCELED when that was SIGINT. */
static int accept_loop(int listener, pirn_scope *scope)
{
    pirn_spawn_config child = PIRN_SPAWN_CONFIG_INIT;
    int fd, err;

    child.name = "connection";
    child.arg_drop = close_connection;
    for (;;) {
        fd = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER);
        if (fd < 0) {
            if (is_over(fd))
                return fd;
            err = pirn_sleep(pirn_after_ms(10)); /* no descriptor, say: somebody may leave */
            if (err < 0)
                return err;
            continue;
        }
        err = pirn_scope_spawn_with(scope, &child, serve, (void *)(intptr_t)fd, PIRN_NEVER);
        if (err == -ECANCELED || err == -ESHUTDOWN) /* arg_drop has closed it */
            return err;
        if (err < 0)
            close(fd); /* no room for this one; go on with the others */
    }
}

static int start(void *arg)
{
    const uint16_t *port = arg;
    pirn_scope *scope;
    int err, closed, listener = listen_on(*port);

    if (listener < 0)
        return listener;
    err = pirn_scope_open(&scope, 0);
    if (err == 0) {
        err = accept_loop(listener, scope);
        pirn_scope_cancel(scope, "the server ends");
        closed = pirn_scope_close(scope, PIRN_NEVER);
        if (closed < 0 && closed != -ECANCELED)
            err = closed; /* a connection's own, which ended the others */
    }
    pirn_close(listener);
    return err == -ECANCELED ? 0 : err;
}

int main(int argc, char **argv)
{
    pirn_config config = PIRN_CONFIG_INIT;
    uint16_t port = (uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 7000);
    int status = 0;
    int err;

    config.flags = PIRN_SIGINT_CANCELS;
    err = pirn_run_with(&config, start, &port, &status);
    if (err == 0)
        err = status;
    if (err < 0 && err != -EINTR) { /* -EINTR: SIGINT, the usual end */
        fprintf(stderr, "upper_server: %s\n", strerror(-err));
        return 1;
    }
    return 0;
}
