/* Two coroutines gathered, and a runtime that runs until the gather is done. Which is first is
 * free. */
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
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_awaitable *items[2], *main_task;
    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_coroutine_new(&items[0], &config, cc, NULL));
    must(pirn_coroutine_new(&items[1], &config, dd, NULL));
    must(pirn_gather(&main_task, items, 2, 0));
    must(pirn_runtime_run_until_done(config.runtime, main_task, NULL));
    pirn_release(main_task);
    pirn_release(items[0]);
    pirn_release(items[1]);
    return report(pirn_runtime_free(config.runtime));
}
