/*
 * To make a coroutine runs nothing; it begins when somebody runs it.
 */
#include "seeds.h"

static int do_work(void *arg)
{
    (void)arg;
    printf("learning about coroutines ...\n");
    return 0;
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *result;

    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_coroutine_new(&result, &config, do_work, NULL));
    printf("made, not run\n");
    must(pirn_runtime_run_until_done(config.runtime, result, NULL));
    pirn_release(result);
    return report(pirn_runtime_free(config.runtime));
}
