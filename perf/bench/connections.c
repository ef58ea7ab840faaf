/*
 * Row idle, variant=connections: what connections that are kept open cost a server in a process of
 * its own.
 *
 *   1. start the server, read its resident memory; connect `conns` times, from this process
 *   2. each connection has one request answered, so whatever a connection allocates is there
 *   3. when all have been quiet for settle_ms: the server's resident memory less what it was, by
 *      connection. The sockets are the kernel's, and not in it.
 *
 * A connection of http_hello has 6,010 bytes, of which 4 KiB or less are its stack; hyper's 12,936,
 * Go's 21,821 (10,127 before heads and dates were made without snprintf and buffers began small).
 *
 *   conns=10000 settle_ms=500 workers=2 server=COMMAND (default: http_hello, beside this program)
 *   say=http       what a request is: GET /; or say=echo: 64 bytes, for server="echo --port 0"
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int64_t resident(pid_t pid)
{
    char file[64];
    snprintf(file, sizeof file, "/proc/%d/smaps_rollup", (int)pid); /* status lags */
    return 1024 * bench_proc(file, "Rss:");
}

static int connect_to(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        bench_fail("connect to the server", errno);
    return fd;
}

static void ask(int fd, const char *request, size_t n)
{
    char reply[4096];
    if (send(fd, request, n, MSG_NOSIGNAL) != (ssize_t)n)
        bench_fail("send to the server", errno);
    ssize_t got = recv(fd, reply, sizeof reply, 0);
    if (got <= 0)
        bench_fail("the server closed a connection", got < 0 ? errno : EPIPE);
}

void bench_idle_connections(void)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    static const char message[BENCH_MESSAGE];
    char self[PATH_MAX] = "", own[PATH_MAX + 64];
    bool http = strcmp(bench_arg("say", "http"), "http") == 0;
    int out, conns = (int)bench_int("conns", 10000);
    int *fds = bench_alloc((size_t)conns, sizeof *fds);
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        bench_fail("/proc/self/exe", errno);
    snprintf(own, sizeof own, "%s/http_hello --port 0 --workers %d", dirname(self),
             (int)bench_int("workers", 2));
    bench_raise_descriptors(conns);
    pid_t server = bench_start(bench_arg("server", own), &out);
    int port = bench_read_port(out);
    int64_t before = resident(server);
    for (int i = 0; i < conns; i++)
        fds[i] = connect_to(port);
    for (int i = 0; i < conns; i++)
        ask(fds[i], http ? get : message, http ? sizeof get - 1 : sizeof message);
    bench_nap(bench_int("settle_ms", 500) * 1000000);
    bench_out("conns", conns);
    bench_out("bytes_each", (double)(resident(server) - before) / conns);
    bench_out_used(bench_used_by(server));
    for (int i = 0; i < conns; i++) {
        ask(fds[i], http ? get : message, http ? sizeof get - 1 : sizeof message); /* all alive */
        close(fds[i]);
    }
    bench_end(server);
    close(out);
    free(fds);
}
