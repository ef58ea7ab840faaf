/*
 * The tasks of S263 under a wait that gives up after ten seconds. It has not to: both are done by
 * then.
 *
 * Python prints the set of the tasks that are done; here it is their names and results.
 */
#include "seeds.h"

enum {
    TASKS = 2
};

static int real_async(void *arg)
{
    const int *n = arg;
    printf("this is real async func\n");
    pirn_time begun = pirn_now();
    int err = pirn_sleep(after(*n));
    if (err < 0)
        return err;
    printf("end sleep %f\n", since(begun));
    return 0;
}

static int do_it(void *arg)
{
    static int seconds[TASKS] = {1, 2};
    pirn_task *tasks[TASKS];
    bool done[TASKS];
    char name[32];
    (void)arg;
    printf("invoke real async\n");
    for (int i = 0; i < TASKS; i++)
        must(pirn_spawn(&tasks[i], real_async, &seconds[i]));
    must(pirn_wait(tasks, TASKS, PIRN_ALL_COMPLETED, done, NULL, after(10)));
    for (int i = 0; i < TASKS; i++) {
        pirn_name(tasks[i], name, sizeof(name));
        printf("%s: %s, result %d\n", name, done[i] ? "done" : "pending", pirn_status(tasks[i]));
        pirn_release(tasks[i]);
    }
    return 0;
}

int main(void)
{
    return report(pirn_run(do_it, NULL));
}
