/*
 * The echo server to measure against: a level-triggered epoll loop that calls recv and send
 * directly, in W threads that share the port by SO_REUSEPORT.
 *
 *   echo_epoll [http] workers=N
 *
 * http: each empty line that comes is answered with the bytes that pirn's server replies to a
 * request, ready made. It parses nothing, routes nothing, and stands only for what the sockets
 * cost: the floor of row http.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 1024) < 0)
        fail("listen");
    return fd;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

static void accept_one(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0 && errno == EAGAIN)
        return;
    if (fd < 0)
        fail("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    watch(epoll, fd);
}

static const char reply[] = "HTTP/1.1 200 OK\r\n"
                            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                            "Content-Type: text/plain\r\n"
                            "Content-Length: 13\r\n"
                            "\r\n"
                            "Hello, World!";

enum {
    REPLY = sizeof reply - 1,
    REPLIES = 64 /* in one piece; wrk sends no request in two */
};

static bool http;
static char replies[REPLIES * REPLY];

static bool answer(int fd, const char *buf, ssize_t n)
{
    size_t count = 0;
    if (!http)
        return send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n;
    for (const char *at = buf; (at = memmem(at, (size_t)(buf + n - at), "\r\n\r\n", 4)); at += 4)
        count++;
    count *= REPLY;
    return count <= sizeof replies && send(fd, replies, count, MSG_NOSIGNAL) == (ssize_t)count;
}

/* Answers are far smaller than a socket buffer: a send that does not fit is an error here. */
static void echo(int fd)
{
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || !answer(fd, buf, n))
        close(fd);
}

/* Never returns. */
static void *loop(void *arg)
{
    int listener = *(int *)arg, epoll = epoll_create1(0);
    struct epoll_event events[256];
    if (epoll < 0)
        fail("epoll_create1");
    watch(epoll, listener);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);
        if (n < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_one(epoll, listener);
            else
                echo(events[i].data.fd);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int workers = 1, listeners[64];
    http = argc > 1 && !strcmp(argv[1], "http");
    for (int i = 0; i < REPLIES; i++)
        memcpy(replies + i * REPLY, reply, REPLY);
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], "workers=", 8))
            workers = atoi(argv[i] + 8);
    if (workers < 1 || workers > 64)
        return 2;
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    listeners[0] = listen_on(0);
    if (getsockname(listeners[0], (struct sockaddr *)&addr, &len) < 0)
        fail("getsockname");
    for (int i = 1; i < workers; i++) {
        pthread_t thread;
        listeners[i] = listen_on(ntohs(addr.sin_port));
        if (pthread_create(&thread, NULL, loop, &listeners[i]))
            fail("pthread_create");
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    loop(&listeners[0]);
    return 0;
}
