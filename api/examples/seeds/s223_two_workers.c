/*
 * Two coroutines that each say five times who they are, with a second in between.
 *
 * They are waited for by a runtime that is made by hand, which was the way before asyncio.run.
 * Whose line comes first is free, each time anew.
 */
#include "seeds.h"

static int work(void *arg)
{
    for (int i = 0; i < 5; i++) {
        printf("I am async task %s\n", (const char *)arg);
        int err = pirn_sleep(after(1));
        if (err < 0)
            return err;
    }
    return 0;
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_awaitable *tasks[2], *both;
    pirn_time begun = pirn_now();

    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_coroutine_new(&tasks[0], &config, work, "1"));
    must(pirn_coroutine_new(&tasks[1], &config, work, "2"));
    must(pirn_gather(&both, tasks, 2, PIRN_COLLECT));
    must(pirn_runtime_run_until_done(config.runtime, both, NULL));
    printf("%.1f s\n", since(begun));

    pirn_release(both);
    pirn_release(tasks[0]);
    pirn_release(tasks[1]);
    return report(pirn_runtime_free(config.runtime));
}
