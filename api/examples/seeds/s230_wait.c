/*
 * Jobs of one, two and three seconds, waited for together: three seconds in all.
 *
 * Python's set of those that are done has no order; ret_done says it of each, at its place.
 */
#include "seeds.h"

enum {
    JOBS = 3
};

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
    snprintf(job->value, sizeof(job->value), "Done after %ds", job->seconds);
    return pirn_set_value(job->value, NULL);
}

static int start(void *arg)
{
    struct job jobs[JOBS] = {{.seconds = 1}, {.seconds = 2}, {.seconds = 3}};
    pirn_task *tasks[JOBS];
    bool done[JOBS];
    (void)arg;
    for (int i = 0; i < JOBS; i++)
        must(pirn_spawn(&tasks[i], do_work, &jobs[i]));
    must(pirn_wait(tasks, JOBS, PIRN_ALL_COMPLETED, done, NULL, PIRN_NEVER));
    for (int i = 0; i < JOBS; i++) {
        if (done[i])
            printf("task result: %s\n", (const char *)pirn_value(tasks[i]));
        pirn_release(tasks[i]);
    }
    return 0;
}

int main(void)
{
    pirn_time begun = pirn_now();
    int rc = pirn_run(start, NULL);
    printf("Time: %f\n", since(begun));
    return report(rc);
}
