/*
 * Four jobs of a second on a pool of two threads, without any runtime: their handles are there at
 * once, say which jobs run and which are queued, and the jobs come in order, as many at a time as
 * there are threads.
 *
 * The handles are awaitables, whatever awaits them, and wherever. To close the pool waits for its
 * jobs, which Python does at the end of the program.
 */
#include "seeds.h"

#include <sched.h>

enum {
    JOBS = 4,
    THREADS = 2
};

static int func(void *arg)
{
    block(1);
    printf("%d\n", (int)(intptr_t)arg);
    return 123;
}

int main(void)
{
    pirn_thread_pool *pool;
    pirn_job *jobs[JOBS];
    must(pirn_thread_pool_new(&pool, THREADS));
    for (int i = 0; i < JOBS; i++)
        must(pirn_thread_pool_submit(pool, &jobs[i], func, (void *)(intptr_t)i));
    for (int i = 0; i < THREADS; i++) /* its thread has to start first */
        while (!pirn_job_is_running(jobs[i]) && !pirn_done(jobs[i]))
            sched_yield();
    for (int i = 0; i < JOBS; i++) {
        printf("<job at %p, %s>\n", (void *)jobs[i],
               pirn_job_is_running(jobs[i]) ? "running" : "pending");
        pirn_release(jobs[i]);
    }
    return report(pirn_thread_pool_close(pool, PIRN_NEVER));
}
