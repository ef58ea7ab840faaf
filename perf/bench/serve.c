/*
 * The helper `serve`: a server whose requests cost CPU. A request is 64 bytes; its first 4 say how
 * many iterations of the work kernel to run before it is sent back.
 *
 *   workers=2; prints the address it listens on, ends on SIGINT
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pirn.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

static bool receive(int fd, unsigned char message[BENCH_MESSAGE])
{
    for (size_t have = 0; have < BENCH_MESSAGE;) {
        ssize_t n = pirn_recv(fd, message + have, BENCH_MESSAGE - have, 0, PIRN_NEVER);
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    return true;
}

static int serve_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    unsigned char message[BENCH_MESSAGE];
    uint64_t sink = 1;
    while (receive(fd, message)) {
        uint32_t work = 0;
        for (int i = 3; i >= 0; i--)
            work = work << 8 | message[i];
        sink = bench_work(sink, work);
        message[5] = (unsigned char)sink;
        if (pirn_send(fd, message, sizeof message, 0, PIRN_NEVER) != sizeof message)
            break;
    }
    pirn_close(fd);
    return 0;
}

static int serve(void *arg)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    (void)arg;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&addr, len) < 0 ||
        listen(listener, 1024) < 0 || getsockname(listener, (struct sockaddr *)&addr, &len) < 0)
        bench_fail("listen", errno);
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    for (;;) {
        int fd = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER);
        if (fd < 0)
            return fd == -ECANCELED ? 0 : fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        pirn_task *task;
        bench_ok(pirn_spawn(&task, serve_one, (void *)(intptr_t)fd), "spawn");
        bench_ok(pirn_detach(task), "detach");
    }
}

void bench_row_serve(void)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = (int)bench_int("workers", 2);
    config.flags = PIRN_SIGINT_CANCELS;
    int result = pirn_run_with(&config, serve, NULL, NULL);
    if (result < 0 && result != -EINTR)
        bench_fail("pirn_run_with", -result);
}
