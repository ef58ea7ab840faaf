/*
 * A task with a callback for when it is done, which prints what the task returned.
 *
 * The callback gets the task last in Python, with whatever else was bound to it before; here it
 * gets the task and a pointer. It runs in a coroutine of its own, and before the run is over.
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

static void callback(pirn_awaitable *task, void *user)
{
    (void)user;
    printf("callback: %s\n", (const char *)pirn_value(task));
}

int main(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    struct job job = {.seconds = 3};
    pirn_task *task;

    must(pirn_runtime_new(&config.runtime, NULL));
    must(pirn_spawn_with(&task, &config, do_work, &job));
    must(pirn_add_done_callback(task, config.runtime, callback, NULL));
    must(pirn_runtime_run_until_done(config.runtime, task, NULL));
    pirn_release(task);
    return report(pirn_runtime_free(config.runtime));
}
