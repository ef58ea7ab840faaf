/*
 * Two coroutines, one of which sleeps a second, are waited for without a function around them.
 *
 * Python runs the wait itself. Here it is a gather with PIRN_COLLECT: done when all are, come what
 * may.
 */
#include "seeds.h"

static int cc(void *arg)
{
    (void)arg;
    printf("cc\n");
    return pirn_sleep(after(1));
}

static int dd(void *arg)
{
    (void)arg;
    printf("dd\n");
    return 0;
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_awaitable *task_list[2], *wait_task;
    pirn_time begun = pirn_now();
    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_coroutine_new(&task_list[0], &config, cc, NULL));
    must(pirn_coroutine_new(&task_list[1], &config, dd, NULL));
    must(pirn_gather(&wait_task, task_list, 2, PIRN_COLLECT));
    must(pirn_runtime_run_until_done(config.runtime, wait_task, NULL));
    pirn_release(wait_task);
    pirn_release(task_list[0]);
    pirn_release(task_list[1]);
    must(pirn_runtime_free(config.runtime));
    printf("took: %f\n", since(begun));
    return 0;
}
