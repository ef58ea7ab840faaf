/*
 * Ten coroutines that sleep a second each, gathered: together they take a second. Then one that
 * returns 21, called in place.
 */
#include "seeds.h"

enum {
    SLEEPERS = 10
};

static int nap(void *arg)
{
    const double *seconds = arg;
    int err = pirn_sleep(after(*seconds));
    if (err < 0)
        return err;
    printf("hello asyncio\n");
    return 0;
}

static int test_sleep(double seconds)
{
    pirn_awaitable *sleepers[SLEEPERS], *all;
    int status;
    for (int i = 0; i < SLEEPERS; i++)
        must(pirn_spawn(&sleepers[i], nap, &seconds));
    must(pirn_gather(&all, sleepers, SLEEPERS, 0));
    for (int i = 0; i < SLEEPERS; i++)
        pirn_release(sleepers[i]); /* the gather has references of its own */
    must(pirn_join(all, &status, PIRN_NEVER));
    return status;
}

static int test_return(void)
{
    return 21;
}

static int start(void *arg)
{
    (void)arg;
    int status = test_sleep(1);
    if (status < 0)
        return status;
    printf("%d\n", test_return());
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
