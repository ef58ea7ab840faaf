/*
 * Two groups of two jobs each, first poured into one gather, then as a gather of gathers: two
 * seconds each time.
 *
 * A group that is poured in is an array, and to join arrays is to fill a longer one.
 */
#include "seeds.h"

enum {
    GROUP = 2
};

static int test_async(void *arg)
{
    (void)arg;
    printf("this is a test for async\n");
    int err = pirn_sleep(after(2));
    if (err < 0)
        return err;
    printf("test again\n");
    return pirn_set_value("lixingyun", NULL);
}

static void make_group(const pirn_spawn_config *config, pirn_awaitable **ret_group)
{
    for (int i = 0; i < GROUP; i++)
        must(pirn_coroutine_new(&ret_group[i], config, test_async, NULL));
}

/* Gathers the items; the references to them are given up. */
static pirn_awaitable *gather(pirn_awaitable **items, size_t n)
{
    pirn_awaitable *all;
    must(pirn_gather(&all, items, n, 0));
    for (size_t i = 0; i < n; i++)
        pirn_release(items[i]);
    return all;
}

static void run_and_time(pirn_runtime *runtime, pirn_awaitable *all)
{
    pirn_time begun = pirn_now();
    must(pirn_runtime_run_until_done(runtime, all, NULL));
    printf("took: %f\n", since(begun));
    pirn_release(all);
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_awaitable *both[2 * GROUP], *group3[GROUP], *group4[GROUP], *gathers[2];
    must(pirn_runtime_new(&config.runtime, NULL));

    make_group(&config, both);
    make_group(&config, both + GROUP);
    run_and_time(config.runtime, gather(both, 2 * GROUP));

    make_group(&config, group3);
    make_group(&config, group4);
    gathers[0] = gather(group3, GROUP);
    gathers[1] = gather(group4, GROUP);
    run_and_time(config.runtime, gather(gathers, 2));

    return report(pirn_runtime_free(config.runtime));
}
