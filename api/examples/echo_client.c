/*
 * A client: echo_client PORT [TEXT ...] sends each text to 127.0.0.1:PORT and prints the answer.
 * All texts travel at once, each over its own connection; one deadline bounds the whole visit.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pirn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct visit {
    struct sockaddr_in addr;
    char **texts;
    size_t count;
    pirn_time deadline;
} visit;

/* Reads until as much has come back as was sent. */
static int receive_all(int fd, char *buf, size_t n, pirn_time deadline)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = pirn_recv(fd, buf + have, n - have, 0, deadline);

        if (got == 0)
            return -ECONNRESET;
        if (got < 0)
            return (int)got;
        have += (size_t)got;
    }
    return 0;
}

static int talk(int fd, const visit *v, const char *text)
{
    size_t n = strlen(text);
    char *answer = malloc(n + 1);
    ssize_t sent;
    int err;

    if (!answer)
        return -ENOMEM;
    err = pirn_connect(fd, (const struct sockaddr *)&v->addr, sizeof v->addr, v->deadline);
    if (err == 0) {
        sent = pirn_send(fd, text, n, 0, v->deadline);
        err = sent < 0 ? (int)sent : receive_all(fd, answer, n, v->deadline);
    }
    if (err == 0)
        printf("%s -> %.*s\n", text, (int)n, answer);
    free(answer);
    return err;
}

static int visit_one(size_t i, void *arg)
{
    const visit *v = arg;
    int err, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    err = talk(fd, v, v->texts[i]);
    pirn_close(fd);
    return err;
}

static int start(void *arg)
{
    visit *v = arg;

    v->deadline = pirn_after_s(5);
    return pirn_parallel_for(0, v->count, visit_one, v);
}

int main(int argc, char **argv)
{
    static char *greeting[] = {"hello"};
    visit v = {.addr = {.sin_family = AF_INET}, .texts = greeting, .count = 1};
    int err;

    if (argc < 2) {
        fprintf(stderr, "usage: echo_client PORT [TEXT ...]\n");
        return 2;
    }
    v.addr.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    v.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc > 2) {
        v.texts = argv + 2;
        v.count = (size_t)(argc - 2);
    }
    err = pirn_run(start, &v);
    if (err < 0)
        fprintf(stderr, "echo_client: %s\n", strerror(-err));
    return err < 0;
}
