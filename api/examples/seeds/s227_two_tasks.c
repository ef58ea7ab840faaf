/*
 * The helper of S226 as two tasks: both begin at once, and together they take two seconds.
 *
 * A task leaves a value (pirn_set_value) where a function would return one; the value lives until
 * the last reference to the task goes. In parallel, the first result may be printed before the
 * second task says that it ends.
 */
#include "seeds.h"

static int others(void *arg)
{
    (void)arg;
    printf("start\n");
    int err = pirn_sleep(after(2));
    if (err < 0)
        return err;
    printf("end\n");
    return pirn_set_value("return value", NULL);
}

static int func(void *arg)
{
    pirn_task *task_1, *task_2;
    (void)arg;
    printf("inside the coroutine function\n");
    must(pirn_spawn(&task_1, others, NULL));
    must(pirn_spawn(&task_2, others, NULL));

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
