/*
 * Tasks get names when they are created, and say them when asked. The library copies them: the
 * buffer may be used again.
 */
#include "seeds.h"

enum {
    TASKS = 3
};

static int do_work(void *arg)
{
    (void)arg;
    return pirn_sleep(after(1));
}

static int start(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *tasks[TASKS];
    char name[32];
    (void)arg;
    config.name = name;
    for (int i = 0; i < TASKS; i++) {
        snprintf(name, sizeof(name), "MY_COROUTINE_%d", i + 1);
        must(pirn_spawn_with(&tasks[i], &config, do_work, NULL));
    }
    memset(name, 0, sizeof(name));
    for (int i = 0; i < TASKS; i++) {
        must(pirn_await(tasks[i], NULL, PIRN_NEVER));
        pirn_name(tasks[i], name, sizeof(name));
        printf("%s\n", name);
        pirn_release(tasks[i]);
    }
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
