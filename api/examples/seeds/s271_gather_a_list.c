/*
 * The gather of S270 over a list of functions. To spread a list into arguments there is nothing to
 * do: a gather takes an array and a count.
 */
#include "seeds.h"

static int cc(void *arg)
{
    (void)arg;
    printf("cc\n");
    return 0;
}

static int dd(void *arg)
{
    (void)arg;
    printf("dd\n");
    return 0;
}

int main(void)
{
    const pirn_fn task_list[] = {cc, dd};
    enum {
        TASKS = sizeof(task_list) / sizeof(task_list[0])
    };
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_awaitable *items[TASKS], *main_task;
    must(pirn_runtime_new(&config.runtime, NULL));
    for (int i = 0; i < TASKS; i++)
        must(pirn_coroutine_new(&items[i], &config, task_list[i], NULL));
    must(pirn_gather(&main_task, items, TASKS, 0));
    must(pirn_runtime_run_until_done(config.runtime, main_task, NULL));
    pirn_release(main_task);
    for (int i = 0; i < TASKS; i++)
        pirn_release(items[i]);
    return report(pirn_runtime_free(config.runtime));
}
