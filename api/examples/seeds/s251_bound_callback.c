/*
 * A callback to which a word has been bound; it gets it beside the task. Then the result is read
 * from the task as well.
 */
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

static void callback(pirn_awaitable *task, void *user)
{
    printf("callback ==> %s another ==> %s\n", (const char *)pirn_value(task), (const char *)user);
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_spawn_with(&task, &config, test_async, NULL));
    must(pirn_add_done_callback(task, config.runtime, callback, "wanglin"));
    must(pirn_runtime_run_until_done(config.runtime, task, NULL));
    must(pirn_runtime_free(config.runtime)); /* the callback has run by now */
    printf("%s\n", (const char *)pirn_value(task));
    pirn_release(task);
    return 0;
}
