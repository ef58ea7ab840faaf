/*
 * Waits for a future that nobody sets: Python's program hangs there, and so would this one.
 *
 * There are two remedies. Every wait has a deadline: the first one here gives up after two seconds.
 * And a runtime can be asked to end when nothing can happen any more (PIRN_DEADLOCK_ENDS): the
 * second one has no deadline, and the run says -EDEADLK, and names the task and where it waits.
 */
#include <errno.h>

#include "seeds.h"

static int start(void *arg)
{
    pirn_future *future;
    (void)arg;
    must(pirn_future_new(&future));
    int rc = pirn_await(future, NULL, after(2));
    if (rc == -ETIMEDOUT) {
        printf("nobody has set it\n");
        rc = pirn_await(future, NULL, PIRN_NEVER);
    }
    pirn_release(future);
    return rc;
}

int main(void)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.flags = PIRN_DEADLOCK_ENDS;
    int rc = pirn_run_with(&config, start, NULL, NULL);
    if (rc == -EDEADLK)
        printf("nobody ever will\n");
    return report(rc == -EDEADLK ? 0 : rc);
}
