/*
 * Two tasks of a second, created first and awaited then, five times over: five seconds. Compare
 * S243.
 */
#include "seeds.h"

static int second(void *arg)
{
    (void)arg;
    return pirn_sleep(after(1));
}

static int func(void *arg)
{
    pirn_task *task_1, *task_2;
    (void)arg;
    must(pirn_spawn(&task_1, second, NULL));
    must(pirn_spawn(&task_2, second, NULL));
    must(pirn_join(task_1, NULL, PIRN_NEVER));
    must(pirn_join(task_2, NULL, PIRN_NEVER));
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
