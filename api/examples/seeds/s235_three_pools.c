/*
 * A function of two seconds in the default pool, in a pool of threads, and in a pool of processes.
 *
 * One type of awaitable for all three. A thread sees the program's memory; to a process the
 * argument, and from it the result, is copied.
 */
#include <errno.h>

#include "seeds.h"

static const char value[] = "the return value of a job ...";

static int func(void *arg)
{
    (void)arg;
    block(2);
    return pirn_set_value((void *)value, NULL);
}

/* The same for a process: its result is the bytes of the text. */
static int func_there(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_out_len)
{
    (void)in;
    (void)in_len;
    block(2);
    if (out_cap < sizeof(value))
        return -EMSGSIZE;
    memcpy(out, value, sizeof(value));
    *ret_out_len = sizeof(value);
    return 0;
}

static int start(void *arg)
{
    pirn_job *job;
    (void)arg;

    /* The default pool is made when it is first used. */
    must(pirn_thread_pool_submit(NULL, &job, func, NULL));
    must(pirn_await(job, NULL, PIRN_NEVER));
    printf("the default pool gave: %s\n", (const char *)pirn_value(job));
    pirn_release(job);

    pirn_thread_pool *threads;
    must(pirn_thread_pool_new(&threads, 0));
    must(pirn_thread_pool_submit(threads, &job, func, NULL));
    must(pirn_await(job, NULL, PIRN_NEVER));
    printf("the thread pool gave: %s\n", (const char *)pirn_value(job));
    pirn_release(job);
    must(pirn_thread_pool_close(threads, PIRN_NEVER));

    pirn_process_pool *processes;
    char result[sizeof(value)];
    must(pirn_process_pool_new(&processes, 0));
    must(pirn_process_call(processes, func_there, NULL, 0, result, sizeof(result), NULL, NULL,
                           PIRN_NEVER));
    printf("the process pool gave: %s\n", result);
    return pirn_process_pool_close(processes, PIRN_NEVER);
}

int main(void)
{
    must(pirn_process_helper_start()); /* while there is one thread */
    return report(pirn_run(start, NULL));
}
