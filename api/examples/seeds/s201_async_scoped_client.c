/*
 * The client of S200 as a coroutine, once a second: s201_async_scoped_client [PORT [ROUNDS]]. Its
 * peer is S202, so it prints ABC.
 *
 * What enters and leaves the scope may suspend, and looks the same for that: there is no second
 * kind of scope. (In Python's listing the exit method lacks its async.) Everything waits with a
 * deadline here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "seeds.h"

typedef struct client {
    int fd;
    int error; /* 0: connected */
} client;

/* (__aenter__) */
static client client_enter(const char *ip, uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    client c = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 0};
    inet_pton(AF_INET, ip, &addr.sin_addr);
    c.error =
        c.fd < 0 ? -errno : pirn_connect(c.fd, (struct sockaddr *)&addr, sizeof(addr), after(10));
    return c;
}

/* (__aexit__) */
static void client_exit(client *c)
{
    if (c->fd >= 0)
        pirn_close(c->fd);
    printf("closed\n");
}

struct job {
    uint16_t port;
    long rounds; /* negative: for ever */
};

static int talk(void *arg)
{
    struct job *job = arg;
    __attribute__((cleanup(client_exit))) client c = client_enter("127.0.0.1", job->port);
    if (c.error != 0)
        return c.error;
    for (long left = job->rounds; left != 0; left -= left > 0) {
        char data[1024];
        ssize_t n = pirn_send(c.fd, "abc", 3, 0, after(10));
        if (n == 3)
            n = pirn_recv(c.fd, data, sizeof(data), 0, after(10));
        if (n <= 0)
            return (int)n;
        printf("%.*s\n", (int)n, data);
        int err = pirn_sleep(after(1));
        if (err < 0)
            return err;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct job job = {9856, -1};
    if (argc > 1)
        job.port = (uint16_t)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        job.rounds = strtol(argv[2], NULL, 10);
    return report(pirn_run(talk, &job));
}
