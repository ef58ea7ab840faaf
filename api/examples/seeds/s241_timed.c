/* One job of three seconds, run to its end, and how long that took. */
#include "seeds.h"

struct job {
    int seconds;
    char value[32];
};

static int do_work(void *arg)
{
    struct job *job = arg;
    printf("waiting: %d\n", job->seconds);
    int err = pirn_sleep(after(job->seconds));
    if (err < 0)
        return err;
    snprintf(job->value, sizeof(job->value), "Done after %d s", job->seconds);
    return pirn_set_value(job->value, NULL);
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    struct job job = {.seconds = 3};
    pirn_task *task;
    pirn_time begun = pirn_now();

    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_spawn_with(&task, &config, do_work, &job));
    must(pirn_runtime_run_until_done(config.runtime, task, NULL));
    printf("task result: %s\n", (const char *)pirn_value(task));
    printf("Time: %f\n", since(begun));
    pirn_release(task);
    return report(pirn_runtime_free(config.runtime));
}
