/*
 * The sleeper, the client and the census of probe.h.
 *
 * Lateness is taken between the deadline and the moment the coroutine runs again. A sleeper that
 * is held up takes fewer samples, so a percentile over samples is kind to runtimes that get stuck;
 * the maximum is not.
 */
#include "perf/bench/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static bool stopped(bench_probe *probe)
{
    return atomic_load_explicit(&probe->stop, memory_order_relaxed);
}

static void add(bench_probe *probe, bench_samples *samples, int64_t ns)
{
    if (!atomic_load_explicit(&probe->warming_up, memory_order_relaxed))
        bench_add(samples, ns);
}

static int sleeper(void *arg)
{
    bench_probe *probe = arg;
    while (!stopped(probe)) {
        pirn_time until = pirn_after_ms(1);
        bench_ok(pirn_sleep(until), "sleep");
        add(probe, &probe->late, bench_now() - until.ns);
    }
    return 0;
}

static void round_trip(int fd)
{
    char message[BENCH_MESSAGE] = {0};
    ssize_t n = pirn_send(fd, message, sizeof message, 0, PIRN_NEVER);
    for (size_t have = 0; n > 0 && have < sizeof message; have += (size_t)n)
        n = pirn_recv(fd, message, sizeof message - have, 0, PIRN_NEVER);
    if (n <= 0)
        bench_fail("echo", n < 0 ? (int)-n : EPIPE);
}

static int client(void *arg)
{
    bench_probe *probe = arg;
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)probe->port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        bench_fail("socket", errno);
    bench_ok(pirn_connect(fd, (struct sockaddr *)&addr, sizeof addr, PIRN_NEVER), "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    while (!stopped(probe)) {
        int64_t begin = bench_now();
        round_trip(fd);
        add(probe, &probe->trip, bench_now() - begin);
        bench_ok(pirn_sleep(pirn_after_ms(1)), "sleep");
    }
    return pirn_close(fd);
}

void bench_probe_start(bench_probe *probe)
{
    atomic_store_explicit(&probe->stop, false, memory_order_relaxed);
    bench_ok(pirn_spawn(&probe->sleeper, sleeper, probe), "spawn");
    bench_ok(pirn_spawn(&probe->client, client, probe), "spawn");
}

void bench_probe_stop(bench_probe *probe)
{
    atomic_store_explicit(&probe->stop, true, memory_order_relaxed);
    bench_ok(pirn_join(probe->sleeper, NULL, PIRN_NEVER), "join");
    bench_ok(pirn_join(probe->client, NULL, PIRN_NEVER), "join");
}

static void *count_threads(void *arg)
{
    bench_census *census = arg;
    while (!atomic_load_explicit(&census->stop, memory_order_relaxed)) {
        int64_t now = bench_proc("/proc/self/status", "Threads:") - 1;
        if (now > census->most)
            census->most = now;
        bench_nap(10000000);
    }
    return NULL;
}

void bench_census_start(bench_census *census)
{
    *census = (bench_census){0};
    int error = pthread_create(&census->thread, NULL, count_threads, census);
    if (error)
        bench_fail("pthread_create", error);
}

void bench_census_end(bench_census *census)
{
    atomic_store_explicit(&census->stop, true, memory_order_relaxed);
    pthread_join(census->thread, NULL);
}
