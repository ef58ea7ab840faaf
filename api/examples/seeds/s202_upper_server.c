/*
 * A server that sends back what it gets in capitals, with a task for each client: s202_upper_server
 * [PORT], 9856 if nothing is said. SIGINT ends it.
 *
 * As in Python the tasks are thrown away once they are created: detached, they belong to the
 * runtime, and none is lost before its end. The clients are served in parallel, on all workers. A
 * reset ends its own client. Whatever ends a task, and be it before it began, its connection is
 * closed: that is what the argument's drop is for. (api/examples/upper_server.c keeps its tasks in
 * a scope, and has deadlines.)
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "seeds.h"

static void close_connection(void *arg)
{
    close((int)(intptr_t)arg);
}

static int waiter(void *arg)
{
    int conn = (int)(intptr_t)arg;
    char data[1024];
    for (;;) {
        ssize_t n = pirn_recv(conn, data, sizeof(data), 0, PIRN_NEVER);
        if (n <= 0)
            return 0; /* it has left, by a close or a reset */
        for (ssize_t i = 0; i < n; i++)
            data[i] = (char)toupper((unsigned char)data[i]);
        if (pirn_send(conn, data, (size_t)n, 0, PIRN_NEVER) != n)
            return 0;
    }
}

/* Bound, listening, and said to be so. */
static int open_server(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof(addr);
    int on = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (server < 0 || setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(server, (struct sockaddr *)&addr, len) < 0 || listen(server, SOMAXCONN) < 0 ||
        getsockname(server, (struct sockaddr *)&addr, &len) < 0)
        must(-errno);
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    return server;
}

static int serve(void *arg)
{
    int server = open_server((uint16_t)(intptr_t)arg);
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.arg_drop = close_connection;
    for (;;) {
        int conn = pirn_accept(server, NULL, NULL, 0, PIRN_NEVER);
        if (conn == -ECONNABORTED) /* it has left the queue */
            continue;
        if (conn < 0) {
            pirn_close(server);
            return conn;
        }
        must(pirn_spawn_with(NULL, &config, waiter, (void *)(intptr_t)conn));
    }
}

int main(int argc, char **argv)
{
    pirn_config config = PIRN_CONFIG_INIT;
    long port = argc > 1 ? strtol(argv[1], NULL, 10) : 9856;
    int status = 0;
    config.flags = PIRN_SIGINT_CANCELS;
    must(pirn_run_with(&config, serve, (void *)port, &status));
    return report(status == -EINTR ? 0 : status);
}
