/* serial */
/*
 * 10,000 connections at once from a process of their own. Each client talks, and then leaves at
 * random: by a close, by closing its half and reading to the end, by a reset, or by a reset with
 * the answer unread. The server gives each a coroutine; at the end no descriptor is left, and the
 * connections were spread over the workers within a factor of two, where each has a core to itself.
 * With more workers than cores, who serves is the kernel's choice: then it is only told. Where
 * others use the machine as well, a thread may not get its share of it: what is uneven is tried
 * again.
 */
#include <netinet/tcp.h>
#include <sched.h>

#include "tests/process/scenario.h"

enum {
    MANY = 10000,
    FEW = 1000,
    THREADS = 256,
    ROUNDS = 3,
    TRIES = 3,
    SPARE_FDS = 200,
    MESSAGE = 64
};

typedef struct server {
    int workers, listener, count;
    pirn_scope *connections;
    atomic_int resets, ends;
    _Atomic pid_t thread[THREADS]; /* who served; a slot is taken by the first to want it */
    atomic_int first[THREADS];     /* connections whose first message that thread served */
    atomic_int last[THREADS];      /* ... whose last message before the rounds ended */
} server;

static server s;

/* ---- The client process: plain blocking calls ------------------------------------------- */

static void exchange_all(const int *fds, int n, int round)
{
    char out[MESSAGE] = "", in[MESSAGE];
    int i;

    for (i = 0; i < n; i++) {
        snprintf(out, sizeof(out), "round %d, client %d", round, i);
        CHECK_EQ(send(fds[i], out, sizeof(out), MSG_NOSIGNAL), sizeof(out));
    }
    for (i = 0; i < n; i++) {
        snprintf(out, sizeof(out), "round %d, client %d", round, i);
        CHECK_EQ(recv(fds[i], in, sizeof(in), MSG_WAITALL), sizeof(in));
        CHECK_OK(strcmp(in, out));
    }
}

static void reset(int fd)
{
    struct linger hard = {1, 0};

    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
    close(fd);
}

static void half_close(int fd)
{
    char buf[64];
    size_t got = 0;
    ssize_t n;

    CHECK_EQ(send(fd, "the last words", 14, MSG_NOSIGNAL), 14);
    CHECK_OK(shutdown(fd, SHUT_WR));
    while ((n = recv(fd, buf + got, sizeof(buf) - got, 0)) > 0)
        got += (size_t)n;
    CHECK_OK(n);
    CHECK_EQ(got, 14);
    CHECK_OK(memcmp(buf, "the last words", 14));
    close(fd);
}

static void leave(int fd)
{
    switch (support_random() % 4) {
    case 0:
        close(fd);
        break;
    case 1:
        half_close(fd);
        break;
    case 2:
        reset(fd);
        break;
    default:
        CHECK_EQ(send(fd, "unread", 6, MSG_NOSIGNAL), 6);
        reset(fd);
    }
}

/* A source address of this run's own: recent runs' ports may still be in TIME_WAIT. */
static int connect_from(const struct sockaddr_in *to)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = 60};
    int fd = support_socket(), on = 1;

    from.sin_addr.s_addr = htonl(0x7f000001 + ((uint32_t)getpid() % 60000 << 8));
    CHECK_OK(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)));
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
    CHECK_OK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
    CHECK_OK(bind(fd, (struct sockaddr *)&from, sizeof(from)));
    CHECK_OK(connect(fd, (const struct sockaddr *)to, sizeof(*to)));
    return fd;
}

static void client_process(const struct sockaddr_in *addr, int n)
{
    static int fds[MANY];
    int i, round;

    for (i = 0; i < n; i++) {
        fds[i] = connect_from(addr);
        if (support_random() % 16 == 0) { /* some leave before they have said a word */
            reset(fds[i]);
            fds[i] = connect_from(addr);
        }
    }
    for (round = 0; round < ROUNDS; round++)
        exchange_all(fds, n, round);
    for (i = 0; i < n; i++)
        leave(fds[i]);
    fflush(NULL);
    _exit(0);
}

/* ---- The server ------------------------------------------------------------------------- */

static int thread_slot(void)
{
    pid_t self = (pid_t)syscall(SYS_gettid);
    int i;

    for (i = 0; i < THREADS; i++) {
        pid_t owner = 0;

        if (atomic_compare_exchange_strong(&s.thread[i], &owner, self) || owner == self)
            return i;
    }
    FAIL("more than %d threads served", THREADS);
}

/* One answer; 1 to go on, 0 at the end. */
static int answer(int fd)
{
    char buf[MESSAGE];
    ssize_t n = pirn_recv(fd, buf, sizeof(buf), 0, PIRN_NEVER);

    if (n > 0) {
        ssize_t sent = pirn_send(fd, buf, (size_t)n, 0, PIRN_NEVER);

        if (sent == n)
            return 1;
        CHECK(sent == -EPIPE || sent == -ECONNRESET || (sent >= 0 && sent < n));
        atomic_fetch_add(&s.resets, 1);
        return 0;
    }
    if (n == 0) {
        atomic_fetch_add(&s.ends, 1);
        return 0;
    }
    CHECK_EQ(n, -ECONNRESET);
    atomic_fetch_add(&s.resets, 1);
    return 0;
}

static int serve(void *arg)
{
    int fd = (int)(intptr_t)arg, messages;

    for (messages = 1; answer(fd); messages++) {
        if (messages == 1)
            atomic_fetch_add(&s.first[thread_slot()], 1);
        if (messages == ROUNDS)
            atomic_fetch_add(&s.last[thread_slot()], 1);
    }
    CHECK_OK(pirn_close(fd));
    return 0;
}

static int accept_loop(void *arg)
{
    int fd, n = 0;

    (void)arg;
    while ((fd = pirn_accept(s.listener, NULL, NULL, 0, PIRN_NEVER)) != -ECANCELED) {
        if (fd == -ECONNABORTED)
            continue;
        CHECK_GE(fd, 0);
        CHECK_OK(pirn_scope_spawn(s.connections, serve, (void *)(intptr_t)fd, PIRN_NEVER));
        n++;
    }
    return n;
}

static int descending(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

static int cores(void)
{
    cpu_set_t set;

    CHECK_OK(sched_getaffinity(0, sizeof(set), &set));
    return CPU_COUNT(&set);
}

/* Have all workers had their share, if there was one for each? */
static bool is_spread(const char *name, atomic_int *counts)
{
    int n[THREADS], i, sum = 0;

    for (i = 0; i < THREADS; i++) {
        n[i] = atomic_load(&counts[i]);
        sum += n[i];
    }
    qsort(n, THREADS, sizeof(n[0]), descending);
    printf("%s message, connections per thread: %d, %d, %d, %d\n", name, n[0], n[1], n[2], n[3]);
    CHECK_EQ(sum, s.count);
    return s.workers > cores() || n[0] <= 2 * n[s.workers - 1];
}

/* Nobody computes or blocks for long; one pool thread waits for the client. */
static void check_threads(void)
{
    pirn_stats stats = {.size = sizeof(stats)};

    CHECK_OK(pirn_stats_get(NULL, &stats));
    printf("%d threads\n", (int)stats.threads);
    CHECK_LE(stats.threads, s.workers + 1 + 2 * s.workers + 3);
}

static int serve_all(void *ret_spread)
{
    support_census before = support_count();
    struct sockaddr_in addr;
    pirn_task *acceptor;
    int status = -1, accepted;
    pid_t pid;

    s.listener = support_listen(&addr, 4096);
    CHECK_OK(pirn_scope_open(&s.connections, 0));
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        client_process(&addr, s.count);
    acceptor = support_spawn_named("acceptor", accept_loop, NULL);
    CHECK_OK(pirn_blocking(wait_for_process, &pid, &status, PIRN_NEVER));
    CHECK_OK(status);
    CHECK_OK(pirn_sleep(pirn_after_ms(50))); /* the last resets may still wait in the backlog */
    CHECK_OK(pirn_cancel(acceptor, "the clients have left"));
    accepted = support_join(acceptor);
    CHECK_OK(pirn_scope_close(s.connections, pirn_after_s(60)));
    CHECK_OK(pirn_close(s.listener));
    printf("%d accepted, %d ended, %d reset\n", accepted, atomic_load(&s.ends),
           atomic_load(&s.resets));
    CHECK_EQ(atomic_load(&s.ends) + atomic_load(&s.resets), accepted);
    CHECK_GE(accepted, s.count);
    pirn_stats stats = {.size = sizeof(stats)};
    CHECK_OK(pirn_stats_get(NULL, &stats));
    CHECK_LE(support_count().fds, before.fds + (int)stats.spares); /* a spare has a ring */
    check_threads();
    *(bool *)ret_spread = is_spread("first", s.first);
    is_spread("last", s.last); /* only told */
    return 0;
}

static int many_connections(void *arg)
{
    int workers = *(int *)arg, count = support_slow() ? FEW : MANY;
    rlim_t wanted = (rlim_t)count + SPARE_FDS;
    struct rlimit limit;
    bool spread = false;

    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted; /* root may */
    limit.rlim_cur = wanted > limit.rlim_cur ? wanted : limit.rlim_cur;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return SKIPPED;
    for (int i = 0; i < (support_timing() ? TRIES : 1) && !spread; i++) {
        memset(&s, 0, sizeof(s));
        s.workers = workers;
        s.count = count;
        CHECK_OK(support_run(workers, serve_all, &spread));
    }
    CHECK(spread || !support_timing());
    return 0;
}

int main(void)
{
    int result = 0;

    for (int w = 2; w <= 4 && result == 0; w *= 2)
        result = scenario("many connections", many_connections, &w, 120);
    return result;
}
