/*
 * The result of a task is read when the run is over, without any callback: as long as somebody has
 * a reference to the task, its value stays.
 */
#include "seeds.h"

struct job {
    int seconds;
    char value[32];
};

static int do_work(void *arg)
{
    struct job *job = arg;
    printf("waiting: %d\n", job->seconds);
    snprintf(job->value, sizeof(job->value), "Done after %d s", job->seconds);
    return pirn_set_value(job->value, NULL);
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    struct job job = {.seconds = 3};
    pirn_task *task;

    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_spawn_with(&task, &config, do_work, &job));
    must(pirn_runtime_run_until_done(config.runtime, task, NULL));
    printf("the result: %s\n", (const char *)pirn_value(task));
    pirn_release(task);
    return report(pirn_runtime_free(config.runtime));
}
