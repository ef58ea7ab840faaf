/*
 * Two coroutines made outside of any coroutine, and a runtime that runs until both have ended:
 * there is no main coroutine at all.
 *
 * Python gives run() the wait itself. Here the two are gathered into one awaitable, and the runtime
 * runs until that is done; with PIRN_COLLECT a failure would not end it early, as with wait. The
 * names are the library's own, and differ. (Python's listing shows 42 where 32 is returned.)
 */
#include "seeds.h"

static int nested(void *arg)
{
    (void)arg;
    int err = pirn_sleep(after(1));
    return err < 0 ? err : 32;
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_awaitable *tasks[2], *all;
    char name[32];
    int status;

    must(pirn_runtime_new(&config.runtime, NULL));
    for (int i = 0; i < 2; i++)
        must(pirn_coroutine_new(&tasks[i], &config, nested, NULL));
    must(pirn_gather(&all, tasks, 2, PIRN_COLLECT));
    must(pirn_runtime_run_until_done(config.runtime, all, &status));
    for (int i = 0; i < 2; i++) {
        pirn_name(tasks[i], name, sizeof(name));
        printf("%d %s\n", pirn_status(tasks[i]), name);
        pirn_release(tasks[i]);
    }
    pirn_release(all);
    return report(pirn_runtime_free(config.runtime));
}
