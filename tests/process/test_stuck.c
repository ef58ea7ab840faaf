/* serial */
/*
 * Never stuck: a 1 ms ticker, echo clients and spawns from a plain thread keep going beside four
 * stuck coroutines (two compute, two sit in read(2)), then beside 40 that compute 150 ms each. Of
 * those at most 2W run at once; the rest queue, and so do tasks spawned meanwhile. So it is where
 * all that compute wait in the kernel for moments, together, as for a lock or pages. There are
 * never more threads than W + blocked + 2W + 3.
 */
#include "tests/process/scenario.h"

enum {
    CLIENTS = 4,
    STUCK_MS = 1500,
    CROWD = 40,
    CROWD_MS = 150,
    BEAT_MS = 40, /* what naps does so at the beginning of each: for two looks, or three */
    NAP_MS = 14,
    SAMPLES = 1 << 16,
    LATE_P99_MS = 10,  /* the promise; measured: 4 */
    SPAWN_P99_MS = 18, /* until the spawner has heard of the end; measured: 6 */
    LATE_MAX_MS = 100  /* measured: 33 */
};

/* Delays in ns. One writer at a time adds; read when it has stopped. */
typedef struct series {
    atomic_int n;
    int64_t ns[SAMPLES];
} series;

typedef struct program {
    int workers;
    pirn_runtime *runtime;
    struct sockaddr_in addr;
    int listener;
    int pipe[2]; /* nobody writes: a read(2) here ends when the write end is closed */
    atomic_bool stop, timed;
    atomic_int stuck;             /* coroutines that are stuck now */
    atomic_int stuck_most;        /* the most there ever were */
    atomic_int threads;           /* the most there ever were, less this test's own */
    atomic_int spawned;           /* tasks spawned from a plain thread that have ended */
    pthread_mutex_t lock;         /* the clients share a series */
    series ticks, echoes, spawns; /* of the present phase */
    support_control control;      /* in it */
} program;

static program p;

static void series_add(series *s, int64_t ns)
{
    int i = atomic_load(&s->n);

    if (!atomic_load(&p.timed) || i == SAMPLES)
        return;
    s->ns[i] = ns;
    atomic_store(&s->n, i + 1);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Bounds in ms. */
static void series_check(const char *name, series *s, int at_least, int p99_ms, int max_ms)
{
    int n = atomic_load(&s->n);
    int64_t p99 = 0;

    qsort(s->ns, (size_t)n, sizeof(s->ns[0]), by_value);
    if (n > 0) {
        p99 = s->ns[n - 1 - n / 100];
        printf("  %-6s %5d times, us: %lld p50, %lld p99, %lld max\n", name, n,
               (long long)s->ns[n / 2] / 1000, (long long)p99 / 1000,
               (long long)s->ns[n - 1] / 1000);
    }
    CHECK_GE(n, at_least);
    if (n > 0 && support_timing()) {
        int64_t machine = support_control_worst(&p.control);
        CHECK_LE(p99, p99_ms * MS + machine);
        CHECK_LE(s->ns[n - 1], max_ms * MS + machine);
    }
}

/* A plain thread that measures must not wait for a core itself: it asks for short slices. */
static void be_prompt(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {.size = sizeof(attr), .runtime = 100 * US};

    syscall(SYS_sched_setattr, 0, &attr, 0); /* refused or ignored by older kernels */
}

/* ---- What must keep going --------------------------------------------------------------- */

static int ticker(void *arg)
{
    pirn_time due;

    (void)arg;
    while (!atomic_load(&p.stop)) {
        due = pirn_after_ms(1);
        CHECK_OK(pirn_sleep(due));
        series_add(&p.ticks, pirn_now().ns - due.ns);
    }
    return 0;
}

static int serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[64];
    ssize_t n;

    while ((n = pirn_recv(fd, buf, sizeof(buf), 0, PIRN_NEVER)) > 0)
        CHECK_EQ(pirn_send(fd, buf, (size_t)n, 0, PIRN_NEVER), n);
    CHECK_OK(pirn_close(fd));
    return 0;
}

static int accept_clients(void *arg)
{
    pirn_task *task;
    int i, fd;

    (void)arg;
    for (i = 0; i < CLIENTS; i++) {
        fd = pirn_accept(p.listener, NULL, NULL, 0, PIRN_NEVER);
        CHECK_GE(fd, 0);
        CHECK_OK(pirn_spawn(&task, serve, (void *)(intptr_t)fd));
        CHECK_OK(pirn_detach(task));
    }
    return 0;
}

static void *client(void *arg)
{
    int fd = connect_plainly(&p.addr);
    char out = 'a', in;
    int64_t begun;

    (void)arg;
    be_prompt();
    while (!atomic_load(&p.stop)) {
        begun = support_now();
        CHECK_EQ(send(fd, &out, 1, MSG_NOSIGNAL), 1);
        CHECK_EQ(recv(fd, &in, 1, 0), 1);
        CHECK_EQ(in, out++);
        pthread_mutex_lock(&p.lock);
        series_add(&p.echoes, support_now() - begun);
        pthread_mutex_unlock(&p.lock);
        support_pause_ms(2);
    }
    close(fd);
    return NULL;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void *spawner(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    int64_t begun;
    int status;

    (void)arg;
    be_prompt();
    config.runtime = p.runtime;
    while (!atomic_load(&p.stop)) {
        begun = support_now();
        CHECK_OK(pirn_spawn_with(&task, &config, nothing, NULL));
        CHECK_OK(pirn_join(task, &status, PIRN_NEVER));
        CHECK_OK(status);
        series_add(&p.spawns, support_now() - begun);
        atomic_fetch_add(&p.spawned, 1);
        support_pause_ms(5);
    }
    return NULL;
}

static void keep_most(atomic_int *most, int n)
{
    int seen = atomic_load(most);

    while (n > seen && !atomic_compare_exchange_weak(most, &seen, n)) {}
}

/* main, the clients, the spawner, this one, the control's and the sanitizer's are not the
 * library's. */
static void *thread_counter(void *arg)
{
    int own = 1 + CLIENTS + 1 + 1 + 1 + (TSAN ? 1 : 0);

    (void)arg;
    while (!atomic_load(&p.stop)) {
        keep_most(&p.threads, support_count().threads - own);
        support_pause_ms(10);
    }
    return NULL;
}

/* ---- What is in the way ----------------------------------------------------------------- */

static void get_stuck(void)
{
    keep_most(&p.stuck_most, atomic_fetch_add(&p.stuck, 1) + 1);
}

static int spinner(void *arg)
{
    get_stuck();
    support_spin((int64_t)(intptr_t)arg * MS);
    atomic_fetch_sub(&p.stuck, 1);
    return 0;
}

/* Like a spinner, but off the CPU whenever all its like are. */
static int napper(void *arg)
{
    int64_t end = support_now() + (int64_t)(intptr_t)arg * MS, now;

    get_stuck();
    while ((now = support_now()) < end) {
        if (now % (BEAT_MS * MS) < NAP_MS * MS / 2)
            support_pause_ms(NAP_MS);
    }
    atomic_fetch_sub(&p.stuck, 1);
    return 0;
}

static int blocker(void *arg)
{
    char c;

    (void)arg;
    get_stuck();
    CHECK_OK(read(p.pipe[0], &c, 1));
    atomic_fetch_sub(&p.stuck, 1);
    return 0;
}

static void begin_phase(void)
{
    support_control_begin(&p.control);
    atomic_store(&p.stuck_most, 0);
    atomic_store(&p.threads, 0);
    atomic_store(&p.ticks.n, 0);
    atomic_store(&p.echoes.n, 0);
    atomic_store(&p.spawns.n, 0);
    atomic_store(&p.timed, true);
}

static void end_phase(const char *name, int blocked)
{
    atomic_store(&p.timed, false);
    support_control_end(&p.control);
    support_pause_ms(1); /* a straggler adds its last sample */
    printf("W = %d, %s: %d stuck at once, %d threads\n", p.workers, name,
           atomic_load(&p.stuck_most), atomic_load(&p.threads));
    CHECK_LE(atomic_load(&p.threads), p.workers + blocked + 2 * p.workers + 3);
}

static void four_stuck(void)
{
    pirn_task *tasks[4];
    int i, most;

    begin_phase();
    for (i = 0; i < 2; i++)
        tasks[i] = support_spawn(blocker, NULL);
    while (atomic_load(&p.stuck) < 2) /* behind 2W spinners, what was never woken would queue */
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    for (; i < 4; i++)
        tasks[i] = support_spawn(spinner, (void *)(intptr_t)STUCK_MS);
    for (i = 2; i < 4; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_OK(close(p.pipe[1]));
    for (i = 0; i < 2; i++)
        CHECK_OK(support_join(tasks[i]));
    end_phase("2 spin, 2 blocked", 2);
    most = atomic_load(&p.stuck_most);
    CHECK_EQ(most, 4); /* none waited for another to end */
    series_check("ticks", &p.ticks, 20, LATE_P99_MS, LATE_MAX_MS);
    series_check("echoes", &p.echoes, 20, LATE_P99_MS, LATE_MAX_MS);
    if (p.workers > 1)
        series_check("spawns", &p.spawns, 5, SPAWN_P99_MS, LATE_MAX_MS);
    else /* two spinners are all there may be: what is new queues until one has ended */
        series_check("spawns", &p.spawns, 0, 3 * STUCK_MS, 3 * STUCK_MS);
}

static void crowd_stuck(const char *name, pirn_fn fn)
{
    pirn_task *tasks[CROWD];
    int i, most, spawned;

    CHECK_OK(pirn_sleep(pirn_after_ms(1000))); /* the spares of before retire */
    begin_phase();
    for (i = 0; i < CROWD; i++)
        tasks[i] = support_spawn(fn, (void *)(intptr_t)CROWD_MS);
    for (i = 0; i < CROWD; i++)
        CHECK_OK(support_join(tasks[i]));
    end_phase(name, 0);
    most = atomic_load(&p.stuck_most);
    CHECK_LE(most, 2 * p.workers);
    series_check("ticks", &p.ticks, 20, LATE_P99_MS, LATE_MAX_MS);
    series_check("echoes", &p.echoes, 20, LATE_P99_MS, LATE_MAX_MS);
    /* What was never woken queues with the crowd, of which 2W compute at a time. */
    int crowd_ms = CROWD * CROWD_MS / (2 * p.workers);
    series_check("spawns", &p.spawns, 0, 3 * crowd_ms, 3 * crowd_ms);
    spawned = atomic_load(&p.spawned);
    support_until(&p.spawned, spawned + 3); /* and goes on afterwards */
}

static int stuck_main(void *arg)
{
    pthread_t threads[CLIENTS + 2];
    pirn_task *tick, *acceptor;
    int i;

    (void)arg;
    p.runtime = pirn_runtime_current();
    p.listener = support_listen(&p.addr, CLIENTS);
    support_pipe(p.pipe);
    tick = support_spawn(ticker, NULL);
    acceptor = support_spawn(accept_clients, NULL);
    for (i = 0; i < CLIENTS; i++)
        threads[i] = support_thread(client, NULL);
    threads[i++] = support_thread(spawner, NULL);
    threads[i++] = support_thread(thread_counter, NULL);
    CHECK_OK(support_join(acceptor));
    CHECK_OK(pirn_sleep(pirn_after_ms(100)));

    four_stuck();
    crowd_stuck("40 spin", spinner);
    crowd_stuck("40 nap and spin", napper);

    atomic_store(&p.stop, true);
    for (i = 0; i < CLIENTS + 2; i++)
        support_thread_join(threads[i]);
    CHECK_OK(support_join(tick));
    CHECK_OK(pirn_close(p.listener));
    close(p.pipe[0]);
    return 0;
}

static int stuck(void *arg)
{
    p.workers = *(int *)arg;
    pthread_mutex_init(&p.lock, NULL);
    return support_run(p.workers, stuck_main, NULL);
}

int main(void)
{
    FOR_WORKERS(w)
    scenario("stuck", stuck, &w, 60);
    return 0;
}
