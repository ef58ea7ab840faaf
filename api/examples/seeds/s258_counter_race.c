/*
 * The counter of S258 as Python has it: without a lock. WRONG in parallel, a data race: both
 * coroutines read, add and write at the same time, and some of it is lost. It stands here to be
 * recognised.
 *
 * On one worker, or on a busy machine, it ends with 0 nearly always, which is how such a program
 * gets through its tests; so it is done a hundred times here. ThreadSanitizer names the line. The
 * right ways are in s258_counter.c.
 */
#include "seeds.h"

enum {
    TIMES = 1000000,
    ROUNDS = 100
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
    int wrong = 0;
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        counter = 0;
        must(pirn_spawn(&tasks[0], inc, NULL));
        must(pirn_spawn(&tasks[1], dec, NULL));
        must(pirn_wait(tasks, 2, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
        pirn_release(tasks[0]);
        pirn_release(tasks[1]);
        wrong += counter != 0;
    }
    printf("%d of %d rounds did not end with 0\n", wrong, ROUNDS);
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
