/*
 * A function that blocks for two seconds is handed to the default thread pool, and awaited.
 *
 * What the pool returns is an awaitable like a future or a task; there is nothing to be wrapped.
 * (Python's listing calls it like a function.) A coroutine that blocks would not hold up others
 * here, but each such one costs a thread; the pool's number of threads is limited.
 */
#include "seeds.h"

static int f1(void *arg)
{
    block(2);
    return pirn_set_value(arg, NULL);
}

static int start(void *arg)
{
    pirn_job *job;
    (void)arg;
    must(pirn_thread_pool_submit(NULL, &job, f1, "xxx"));
    must(pirn_await(job, NULL, PIRN_NEVER));
    printf("%s\n", (const char *)pirn_value(job));
    pirn_release(job);
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
