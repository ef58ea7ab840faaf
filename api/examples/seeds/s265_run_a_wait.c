/*
 * The same two without a function around them: the runtime runs until both are done. See S195.
 */
#include "seeds.h"

static int real_async(void *arg)
{
    const int *n = arg;
    printf("this is real async func\n");
    pirn_time begun = pirn_now();
    int err = pirn_sleep(after(*n));
    if (err < 0)
        return err;
    printf("end sleep %f\n", since(begun));
    return 0;
}

int main(void)
{
    static int seconds[] = {1, 2};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_awaitable *tasks[2], *all;

    must(pirn_runtime_new(&config.runtime, NULL));
    for (int i = 0; i < 2; i++)
        must(pirn_coroutine_new(&tasks[i], &config, real_async, &seconds[i]));
    must(pirn_gather(&all, tasks, 2, PIRN_COLLECT));
    must(pirn_runtime_run_until_done(config.runtime, all, NULL));
    pirn_release(all);
    for (int i = 0; i < 2; i++)
        pirn_release(tasks[i]);
    return report(pirn_runtime_free(config.runtime));
}
