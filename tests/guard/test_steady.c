/*
 * After a warm-up the hot paths need no memory: no malloc and its kin, no mapping, no new thread.
 * Counted in the whole process, by functions that stand in for libc's in this program; so in the
 * plain build alone.
 *
 * What is kept for later use is bounded, but not there from the start: a thread keeps up to 256
 * descriptors and 64 stacks to itself, so of those many are made first. The rest (a timer's place,
 * a line of a queue) is had in a warm-up as long as what is counted; ten of them that all take more
 * are a leak.
 * What the monitor and spare threads take is for a reason of the machine's: a worker got no core
 * for some milliseconds. A round in which they have taken anything is run again.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/mman.h>

#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/worker.h"
#include "tests/guard/operations.h"

enum {
    TIMES = 98304, /* a multiple of TOGETHER */
    WARM_UPS_MOST = 10,
    CROWD = 4096
};

/* ---- In place of libc's -------------------------------------------------------------------- */

static atomic_int taken, taken_by_others; /* calls: by workers, and by the rest */
static _Atomic(const char *) taken_last;

#ifndef PIRN_SANITIZED /* a sanitizer has its own */
static void take(const char *how)
{
    struct worker *w = pirn_self()->worker;
    if (w == NULL || worker_role(w) != ROLE_PRIMARY) {
        atomic_fetch_add(&taken_by_others, 1);
        return;
    }
    atomic_fetch_add(&taken, 1);
    atomic_store(&taken_last, how);
}

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *at, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

void *malloc(size_t n)
{
    take("malloc");
    return __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
    take("calloc");
    return __libc_calloc(count, n);
}

void *realloc(void *at, size_t n)
{
    take("realloc");
    return __libc_realloc(at, n);
}

void *memalign(size_t alignment, size_t n)
{
    take("memalign");
    return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    take("aligned_alloc");
    return __libc_memalign(alignment, n);
}

int posix_memalign(void **ret_at, size_t alignment, size_t n)
{
    take("posix_memalign");
    *ret_at = __libc_memalign(alignment, n);
    return *ret_at != NULL ? 0 : ENOMEM;
}

static void *of_libc(const char *name)
{
    void *at = dlsym(RTLD_NEXT, name);
    CHECK(at);
    return at;
}

void *mmap(void *addr, size_t n, int prot, int flags, int fd, off_t offset)
{
    take("mmap");
    void *(*real)(void *, size_t, int, int, int, off_t) = of_libc("mmap");
    return real(addr, n, prot, flags, fd, offset);
}

int pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*fn)(void *),
                   void *arg)
{
    take("pthread_create");
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        of_libc("pthread_create");
    return real(ret_thread, attr, fn, arg);
}

#endif

/* ---- Echo over TCP, beside operations.h's ---------------------------------------------------- */

static int client;

static int echoes(void *arg)
{
    char message[64];
    int fd = *(int *)arg;
    for (;;) {
        ssize_t n = pirn_recv(fd, message, sizeof(message), 0, pirn_after_s(3600));
        if (n <= 0)
            return (int)n;
        CHECK_EQ(pirn_send(fd, message, (size_t)n, 0, PIRN_NEVER), n);
    }
}

static void begin_echo(int n)
{
    (void)n;
    support_tcp_pair(ends);
    client = ends[0];
    int on = 1;
    for (int i = 0; i < 2; i++)
        CHECK_OK(setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
    partner = support_spawn(echoes, &ends[1]);
}

/* A fifth: each is two waits in the ring. */
static void run_echo(int n)
{
    char message[64] = {0};
    for (int i = 0; i < n / 5; i++) {
        CHECK_EQ(pirn_send(client, message, sizeof(message), 0, PIRN_NEVER), sizeof(message));
        ssize_t got = pirn_recv(client, message, sizeof(message), MSG_WAITALL, pirn_after_s(3600));
        CHECK_EQ(got, sizeof(message));
    }
}

static void end_echo(void)
{
    close(client);
    CHECK_OK(support_join(partner));
    close(ends[1]);
}

/* Sleeps that come due: a thousandth, as they take their time. */
static void run_sleep(int n)
{
    for (int i = 0; i < n / 1000; i++)
        CHECK_OK(pirn_sleep(pirn_after_us(10)));
}

static const struct operation waits[] = {
    {"echo", 1, begin_echo, run_echo, end_echo},
    {"sleep", 1, no_scene, run_sleep, nothing_to_end},
};

/* ---- Counting ------------------------------------------------------------------------------ */

/* How many a round takes; -1: others took some. */
static int round_of(const struct operation *operation)
{
    int others = atomic_load(&taken_by_others);
    operation->begin(TIMES);
    pirn_yield();
    int begin = atomic_load(&taken);
    operation->run(TIMES);
    int end = atomic_load(&taken);
    operation->end();
    return atomic_load(&taken_by_others) == others ? end - begin : -1;
}

static void settles(const struct operation *operation)
{
    int last = -1;
    for (int i = 0; i < WARM_UPS_MOST && last != 0;) {
        last = round_of(operation);
        i += last >= 0;
    }
    if (last != 0)
        fprintf(stderr, "%s: %d calls in the last round, the last was %s\n", operation->name, last,
                atomic_load(&taken_last));
    CHECK_EQ(last, 0);
    do
        last = round_of(operation);
    while (last < 0);
    if (last != 0)
        fprintf(stderr, "%s: %d calls once more, the last was %s\n", operation->name, last,
                atomic_load(&taken_last));
    CHECK_EQ(last, 0);
}

/* Each worker's thread has begun to look for work; before that it takes what it needs itself. */
static void until_all_work(void)
{
    struct pirn_runtime *rt = pirn_runtime_current();
    for (unsigned i = 0; i < rt->worker_count; i++) {
        while (atomic_load(&rt_worker(rt, i)->pass) == 0)
            CHECK_OK(pirn_sleep(pirn_after_us(100)));
    }
}

static pirn_event enough;
static atomic_int crowded;

static int one_of_a_crowd(void *arg)
{
    (void)arg;
    atomic_fetch_add(&crowded, 1);
    return pirn_event_wait(&enough, PIRN_NEVER);
}

/* So many alive at once, with a stack each. */
static void crowd(void)
{
    static pirn_task *tasks[CROWD];
    CHECK_OK(pirn_event_init(&enough));
    atomic_store(&crowded, 0);
    for (int i = 0; i < CROWD; i++)
        tasks[i] = support_spawn(one_of_a_crowd, NULL);
    support_until(&crowded, CROWD);
    CHECK_OK(pirn_event_set(&enough));
    for (int i = 0; i < CROWD; i++)
        CHECK_OK(support_join(tasks[i]));
}

static int all_settle(void *arg)
{
    (void)arg;
    until_all_work();
    crowd();
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        settles(&operations[i]);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
        settles(&waits[i]);
    return 0;
}

START_TEST(nothing_is_allocated_in_the_steady_state)
{
    for (int w = 1; w <= 2; w++)
        CHECK_OK(support_run(w, all_settle, NULL));
}
END_TEST

/* The counters count: what is known to allocate is seen. */
static int allocates(void *arg)
{
    (void)arg;
    int before = atomic_load(&taken);
    pirn_channel *channel;
    CHECK_OK(pirn_channel_new(&channel, 8, 0, NULL));
    pirn_channel_release(channel);
    CHECK_GE(atomic_load(&taken), before + 1);
    before = atomic_load(&taken);
    crowd();
    CHECK_GE(atomic_load(&taken), before + 1);
    return 0;
}

START_TEST(what_allocates_is_seen)
{
    CHECK_OK(support_run(1, allocates, NULL));
}
END_TEST

int main(void)
{
    if (support_slow()) {
        puts("skipped: the plain build alone is free of the tools' own allocations");
        return 77;
    }
    const TTest *tests[] = {what_allocates_is_seen, nothing_is_allocated_in_the_steady_state};
    return support_main("steady", tests, 2);
}
