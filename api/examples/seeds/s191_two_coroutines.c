/*
 * Two coroutines that overlap: each says that it starts, sleeps a second, says that it ends.
 *
 * Both starts come at once and both ends a second later, as in Python. In parallel either may be
 * first in each pair, and the thread is any worker: f1 may even end on another than it started on.
 * (Hence not pthread_self(): the compiler may keep its answer over the sleep.)
 */
#include <unistd.h>

#include "seeds.h"

static int f1(void *arg)
{
    (void)arg;
    printf("f1 start thread %d\n", gettid());
    int err = pirn_sleep(after(1));
    if (err < 0)
        return err;
    printf("f1 end thread %d\n", gettid());
    return 0;
}

static int f2(void *arg)
{
    (void)arg;
    printf("f2 start thread %d\n", gettid());
    int err = pirn_sleep(after(1));
    if (err < 0)
        return err;
    printf("f2 end thread %d\n", gettid());
    return 0;
}

static int both(void *arg)
{
    pirn_task *tasks[2];
    (void)arg;
    must(pirn_spawn(&tasks[0], f1, NULL));
    must(pirn_spawn(&tasks[1], f2, NULL));
    must(pirn_wait(tasks, 2, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
    pirn_release(tasks[0]);
    pirn_release(tasks[1]);
    return 0;
}

int main(void)
{
    return report(pirn_run(both, NULL));
}
