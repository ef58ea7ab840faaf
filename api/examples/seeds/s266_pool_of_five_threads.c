/*
 * Ten jobs of a second on a pool of five threads, without any runtime: their handles are there at once, and
 * the jobs come in order, as many at a time as there are threads.
 *
 * The handles are awaitables, whatever awaits them, and wherever. To close the pool waits for its jobs,
 * which Python does at the end of the program.
 */
#include "seeds.h"

enum {
    JOBS = 10,
    THREADS = 5
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
    must(pirn_thread_pool_new(&pool, THREADS));
    for (int i = 0; i < JOBS; i++) {
        pirn_job *job;
        must(pirn_thread_pool_submit(pool, &job, func, (void *)(intptr_t)i));
        printf("<job at %p, %s>\n", (void *)job, pirn_done(job) ? "done" : "not done");
        pirn_release(job);
    }
    return report(pirn_thread_pool_close(pool, PIRN_NEVER));
}
