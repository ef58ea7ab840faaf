/* A job of two seconds; then two of them, waited for together, which take two seconds as well. */
#include "seeds.h"

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

static int two(void *arg)
{
    pirn_task *tasks[2];
    (void)arg;
    for (int i = 0; i < 2; i++)
        must(pirn_spawn(&tasks[i], test_async, NULL));
    must(pirn_wait(tasks, 2, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
    for (int i = 0; i < 2; i++)
        pirn_release(tasks[i]);
    return 0;
}

int main(void)
{
    pirn_runtime *runtime;
    must(pirn_runtime_new(&runtime, NULL));

    pirn_time begun = pirn_now();
    must(pirn_runtime_run_until_complete(runtime, test_async, NULL, NULL));
    printf("took: %f\n", since(begun));

    begun = pirn_now();
    must(pirn_runtime_run_until_complete(runtime, two, NULL, NULL));
    printf("took: %f\n", since(begun));

    return report(pirn_runtime_free(runtime));
}
