/*
 * A TCP client that is connected when its scope is entered and closed when it is left, whatever
 * way: s200_scoped_client [PORT [ROUNDS]]. It sends abc every two seconds and prints what comes
 * back; as in Python for ever, if nothing is said.
 *
 * Python's with is the cleanup attribute here, which gcc and clang have. Nothing in it is
 * asynchronous: the calls block, and no runtime is needed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "seeds.h"

typedef struct client {
    int fd;
} client;

/* (__enter__) */
static client client_enter(const char *ip, uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    client c = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    inet_pton(AF_INET, ip, &addr.sin_addr);
    if (c.fd < 0 || connect(c.fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        must(-errno);
    return c;
}

/* (__exit__) */
static void client_exit(client *c)
{
    close(c->fd);
    printf("closed\n");
}

static int talk(uint16_t port, long rounds)
{
    __attribute__((cleanup(client_exit))) client c = client_enter("127.0.0.1", port);
    while (rounds != 0) {
        char data[1024];
        if (send(c.fd, "abc", 3, MSG_NOSIGNAL) < 0)
            return -errno;
        ssize_t n = recv(c.fd, data, sizeof(data), 0);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        printf("%.*s\n", (int)n, data);
        pirn_sleep(after(2)); /* on a plain thread: blocks, as time.sleep does */
        if (rounds > 0)
            rounds--;
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint16_t port = (uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 8080);
    return report(talk(port, argc > 2 ? strtol(argv[2], NULL, 10) : -1));
}
