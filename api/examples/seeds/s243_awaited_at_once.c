/*
 * Two tasks of a second, each awaited as soon as it is created, five times over: ten seconds. The
 * second does not exist while the first one sleeps; more workers change nothing about that. Compare
 * S242.
 */
#include "seeds.h"

static int second(void *arg)
{
    (void)arg;
    return pirn_sleep(after(1));
}

static int func(void *arg)
{
    pirn_task *task;
    (void)arg;
    must(pirn_spawn(&task, second, NULL));
    must(pirn_join(task, NULL, PIRN_NEVER));
    must(pirn_spawn(&task, second, NULL));
    must(pirn_join(task, NULL, PIRN_NEVER));
    return 0;
}

int main(void)
{
    pirn_runtime *runtime;
    pirn_time begun = pirn_now();
    must(pirn_runtime_new(&runtime, NULL));
    for (int i = 0; i < 5; i++)
        must(pirn_runtime_run_until_complete(runtime, func, NULL, NULL));
    printf("asynchronously it took %f s\n", since(begun));
    return report(pirn_runtime_free(runtime));
}
