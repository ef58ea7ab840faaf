/* A future is set by a task after two seconds; main awaits the task first, and finds the future
 * set. */
#include "seeds.h"

static int set_after(void *arg)
{
    pirn_future *future = arg;
    int err = pirn_sleep(after(2));
    return err < 0 ? err : pirn_future_set(future, 0, "666");
}

static int start(void *arg)
{
    pirn_future *future;
    pirn_task *task;
    void *data;
    (void)arg;
    must(pirn_future_new(&future));
    must(pirn_spawn(&task, set_after, future));
    must(pirn_join(task, NULL, PIRN_NEVER));
    must(pirn_future_await(future, NULL, &data, PIRN_NEVER));
    printf("%s\n", (const char *)data);
    pirn_release(future);
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
