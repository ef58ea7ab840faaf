/*
 * Two tasks of 3 and 2 seconds, awaited in that order: the shorter one is over first, but nobody
 * asks until the longer one is.
 *
 * Its value waits for that. Compare S229.
 */
#include "seeds.h"

struct job {
    double time;
    const char *name;
    char value[32];
};

static int others(void *arg)
{
    struct job *job = arg;
    printf("start %s\n", job->name);
    int err = pirn_sleep(after(job->time));
    if (err < 0)
        return err;
    printf("end %s\n", job->name);
    snprintf(job->value, sizeof(job->value), "return value %s", job->name);
    return pirn_set_value(job->value, NULL);
}

static int func(void *arg)
{
    struct job job_1 = {.time = 3, .name = "task_1"}, job_2 = {.time = 2, .name = "task_2"};
    pirn_task *task_1, *task_2;
    (void)arg;
    printf("inside the coroutine function\n");
    must(pirn_spawn(&task_1, others, &job_1));
    must(pirn_spawn(&task_2, others, &job_2));

    must(pirn_await(task_1, NULL, PIRN_NEVER));
    printf("task_1 gave: %s\n", (const char *)pirn_value(task_1));
    must(pirn_await(task_2, NULL, PIRN_NEVER));
    printf("task_2 gave: %s\n", (const char *)pirn_value(task_2));

    pirn_release(task_1);
    pirn_release(task_2);
    return 0;
}

int main(void)
{
    return report(pirn_run(func, NULL));
}
