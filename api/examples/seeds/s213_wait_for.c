/*
 * A sleep of five seconds is given two: it is cancelled then, and its last line is never printed.
 *
 * Once more without a task of its own: pirn_with_timeout calls the function right here.
 */
#include <errno.h>

#include "seeds.h"

static int nap(void *arg)
{
    const double *seconds = arg;
    int err = pirn_sleep(after(*seconds));
    if (err < 0)
        return err;
    printf("hello asyncio\n");
    return 0;
}

static int test_timeout(double seconds)
{
    pirn_task *task;
    must(pirn_spawn(&task, nap, &seconds));
    int rc = pirn_wait_for(task, NULL, after(2));
    pirn_release(task);
    if (rc == -ETIMEDOUT)
        printf("asyncio.TimeoutError\n");
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int start(void *arg)
{
    double seconds = 5;
    (void)arg;
    int rc = test_timeout(seconds);
    if (rc == 0 && pirn_with_timeout(nap, &seconds, after(2)) == -ETIMEDOUT)
        printf("asyncio.TimeoutError again\n");
    return rc;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
