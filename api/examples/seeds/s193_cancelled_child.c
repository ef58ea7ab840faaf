/*
 * Three jobs with a child each; the third cancels its child at once.
 *
 * Jobs 1 and 2 print the child's 11 after a second. Job 3 prints its start and ends there: the
 * await tells it that the child was cancelled, it passes that on, and so it counts as cancelled
 * itself. In Python an exception does that; nobody hears of it there either, and the program exits
 * with 0.
 */
#include <errno.h>

#include "seeds.h"

static int nested(void *arg)
{
    int err = pirn_sleep(after(1));
    return err < 0 ? err : (int)(intptr_t)arg;
}

/* Awaits the child for a job, and says what it said. */
static int finish(const char *name, pirn_task *child)
{
    int result;
    must(pirn_join(child, &result, PIRN_NEVER));
    if (result < 0)
        return result;
    printf("%s result %d\n", name, result);
    printf("%s end\n", name);
    return 0;
}

static int f1(void *arg)
{
    const char *name = arg;
    pirn_task *child;
    printf("%s start\n", name);
    must(pirn_spawn(&child, nested, (void *)(intptr_t)11));
    return finish(name, child);
}

static int f2(void *arg)
{
    const char *name = arg;
    pirn_task *child;
    printf("%s start\n", name);
    must(pirn_spawn(&child, nested, (void *)(intptr_t)11));
    pirn_cancel(child, "not needed after all");
    return finish(name, child);
}

static int all(void *arg)
{
    pirn_task *jobs[3];
    (void)arg;
    must(pirn_spawn(&jobs[0], f1, "job 1"));
    must(pirn_spawn(&jobs[1], f1, "job 2"));
    must(pirn_spawn(&jobs[2], f2, "job 3"));
    must(pirn_wait(jobs, 3, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
    if (pirn_status(jobs[2]) != -ECANCELED)
        printf("job 3 was not cancelled\n");
    for (int i = 0; i < 3; i++)
        pirn_release(jobs[i]);
    return 0;
}

int main(void)
{
    return report(pirn_run(all, NULL));
}
