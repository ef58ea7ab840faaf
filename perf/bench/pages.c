/*
 * The site that the claims S188 and S189 fetch pages from, and these two: a pool of threads that
 * block, and streams. As claims.c tells.
 */
#include "perf/bench/bench.h"
#include "perf/bench/claims.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PAGE_MS = 50,
    POOLED = 10,
    STREAMED = 20
};

/* ---- The site ----------------------------------------------------------------------------- */

static void *serve_page(void *arg)
{
    static const char page[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<page>";
    char request[1024];
    int fd = (int)(intptr_t)arg;
    ssize_t n = recv(fd, request, sizeof request, 0);
    bench_nap(PAGE_MS * 1000000);
    if (n > 0)
        send(fd, page, sizeof page - 1, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

void bench_serve_pages(int listener)
{
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 || pthread_create(&thread, NULL, serve_page, (void *)(intptr_t)fd))
            return;
        pthread_detach(thread);
    }
}

/* ---- Pages ---------------------------------------------------------------------------------- */

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";

static int fetch_blocking(void *arg)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)bench_claim.site),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char data[1024];
    size_t used = 0;
    ssize_t n;
    (void)arg;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
        bench_fail("a request", errno);
    while ((n = recv(fd, data + used, sizeof data - 1 - used, 0)) > 0)
        used += (size_t)n;
    data[used] = 0;
    close(fd);
    return strstr(data, "\r\n\r\n<page>") ? 0 : -EPROTO;
}

void bench_claim_pool(void)
{
    pirn_thread_pool *threads;
    pirn_job *jobs[POOLED];
    int64_t begin = bench_now();
    bench_ok(pirn_thread_pool_new(&threads, 2), "pool");
    for (int i = 0; i < POOLED; i++)
        bench_ok(pirn_thread_pool_submit(threads, &jobs[i], fetch_blocking, NULL), "submit");
    for (int i = 0; i < POOLED; i++)
        bench_claim_finish(jobs[i]);
    bench_ok(pirn_thread_pool_close(threads, PIRN_NEVER), "close");
    double pooled = bench_claim_since(begin);
    begin = bench_now();
    for (int i = 0; i < POOLED; i++)
        bench_ok(fetch_blocking(NULL), "a page");
    double lined = bench_claim_since(begin);
    bench_claim_took("s188_pool", pooled, 0);
    bench_claim_took("s188_in_line", lined, 0);
    bench_claim_took("s188_ratio", pooled / lined, 0);
}

static int fetch(void *arg)
{
    pirn_stream *stream;
    char port[8];
    const char *line;
    ssize_t n;
    bool page = false;
    (void)arg;
    snprintf(port, sizeof port, "%d", bench_claim.site);
    int fd = bench_ok(pirn_connect_host("127.0.0.1", port, NULL, PIRN_NEVER), "connect");
    bench_ok(pirn_stream_new(&stream, fd, NULL), "stream");
    bench_ok((int)pirn_stream_write(stream, request, sizeof request - 1), "write");
    while ((n = pirn_stream_read_line(stream, &line, PIRN_NEVER)) > 0)
        page |= !strncmp(line, "<page>", (size_t)n);
    bench_ok(pirn_stream_close(stream, PIRN_NEVER), "close");
    pirn_stream_release(stream);
    return page ? 0 : -EPROTO;
}

static int run_streams(void *arg)
{
    pirn_task *tasks[STREAMED];
    (void)arg;
    for (int i = 0; i < STREAMED; i++)
        bench_ok(pirn_spawn(&tasks[i], fetch, NULL), "spawn");
    bench_claim_finish(bench_claim_gather(tasks, STREAMED));
    return 0;
}

void bench_claim_streams(void)
{
    bench_claim_took("s189_streams", bench_claim_run(run_streams), 0);
}
