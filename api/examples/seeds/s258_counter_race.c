/*
 * The counter of S258 as Python has it: without a lock. WRONG in parallel, a data race: both coroutines
 * read, add and write at the same time, and some of it is lost. It stands here to be recognised.
 *
 * On one worker it prints 0 nearly always, which is how such a program gets through its tests.
 * ThreadSanitizer names the line. The right ways are in s258_counter.c.
 */
#include "seeds.h"

enum {
    TIMES = 1000000
};

static volatile int
    counter; /* volatile is no help; it only keeps the compiler from adding at once */

static int inc(void *arg)
{
    (void)arg;
    for (int i = 0; i < TIMES; i++)
        counter = counter + 1;
    return 0;
}

static int dec(void *arg)
{
    (void)arg;
    for (int i = 0; i < TIMES; i++)
        counter = counter - 1;
    return 0;
}

static int start(void *arg)
{
    pirn_task *tasks[2];
    (void)arg;
    must(pirn_spawn(&tasks[0], inc, NULL));
    must(pirn_spawn(&tasks[1], dec, NULL));
    must(pirn_wait(tasks, 2, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
    pirn_release(tasks[0]);
    pirn_release(tasks[1]);
    printf("%d\n", counter);
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
