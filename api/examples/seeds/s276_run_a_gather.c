/*
 * A gather is given to a run. Python's run() refuses that, run_until_complete() does not.
 *
 * Here pirn_run takes a function, so that a gather does not even compile there; a runtime runs
 * until any awaitable is done, and can be asked what kind it is.
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
    return pirn_sleep(after(2));
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_awaitable *items[2], *all;
    int status;
    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_coroutine_new(&items[0], &config, cc, NULL));
    must(pirn_coroutine_new(&items[1], &config, dd, NULL));
    must(pirn_gather(&all, items, 2, 0));
    must(pirn_runtime_run_until_done(config.runtime, all, &status));
    printf("%s: %d\n", pirn_kind_of(all) == PIRN_KIND_COMBINED ? "a gather" : "a task", status);
    pirn_release(all);
    pirn_release(items[0]);
    pirn_release(items[1]);
    return report(pirn_runtime_free(config.runtime));
}
