/*
 * What the tests of process pools share: a page that the program and its workers both see, jobs,
 * and a main that starts the helper while there is one thread.
 */
#ifndef PIRN_TESTS_PROCESS_JOBS_H
#define PIRN_TESTS_PROCESS_JOBS_H

#include "tests/support.h"

#include <signal.h>
#include <sys/mman.h>

struct page {
    atomic_int begun, release; /* of held jobs */
    atomic_int pids[4];
};
static struct page *page;

static inline void make_page(void)
{
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
}

/* out: this process; returns the sum of what came in. */
static inline int add_up(const void *in, size_t in_len, void *out, size_t out_cap,
                         size_t *ret_out_len)
{
    const int *n = in;
    int sum = 0;
    for (size_t i = 0; i < in_len / sizeof(*n); i++)
        sum += n[i];
    pid_t pid = getpid();
    if (out_cap >= sizeof(pid)) {
        memcpy(out, &pid, sizeof(pid));
        *ret_out_len = sizeof(pid);
    }
    return sum;
}

/* Says that it runs, stays until it may go. */
static inline int hold(const void *in, size_t in_len, void *out, size_t out_cap,
                       size_t *ret_out_len)
{
    int n = atomic_fetch_add(&page->begun, 1);
    atomic_store(&page->pids[n % 4], getpid());
    while (!atomic_load(&page->release))
        support_pause_ms(1);
    return add_up(in, in_len, out, out_cap, ret_out_len);
}

struct request {
    pirn_process_pool *pool;
    pirn_process_fn fn;
    int number;
    pirn_time deadline;
    int rc, status;
    pid_t pid;
    size_t len;
};

static inline struct request request(pirn_process_pool *pool, pirn_process_fn fn, int number)
{
    return (struct request){pool, fn, number, PIRN_NEVER, -1, -1, -1, 0};
}

static inline int call(void *arg)
{
    struct request *r = arg;
    r->rc = pirn_process_call(r->pool, r->fn, &r->number, sizeof(r->number), &r->pid,
                              sizeof(r->pid), &r->len, &r->status, r->deadline);
    if (r->rc == 0) {
        CHECK_EQ(r->status, r->number);
        CHECK_EQ(r->len, sizeof(pid_t));
        CHECK(r->pid > 0 && r->pid != getpid());
    } else {
        CHECK_EQ(r->len, 0); /* untouched */
        CHECK_EQ(r->pid, -1);
    }
    return 0;
}

static inline void *call_on_thread(void *arg)
{
    call(arg);
    return NULL;
}

static inline pirn_process_pool *new_pool(int workers)
{
    pirn_process_pool *pool = NULL;
    CHECK_OK(pirn_process_pool_new(&pool, workers));
    return pool;
}

/* Never inlined: a coroutine's errno is the one of the thread it was on when it first looked. */
static __attribute__((noinline)) bool is_gone(pid_t pid)
{
    __asm__ volatile("");
    return kill(pid, 0) == -1 && errno == ESRCH;
}

static inline void until_gone(pid_t pid)
{
    while (!is_gone(pid))
        support_pause_ms(1);
}

#endif
