/*
 * Waits for a future that nobody sets: Python's program hangs there.
 *
 * So would this one, with PIRN_NEVER. But every wait has a deadline, and what a coroutine waits for can
 * be seen in a dump of the tasks at any time.
 */
#include <errno.h>

#include "seeds.h"

static int start(void *arg)
{
    pirn_future *future;
    (void)arg;
    must(pirn_future_new(&future));
    int err = pirn_await(future, NULL, after(2));
    if (err == -ETIMEDOUT)
        printf("nobody has set it\n");
    pirn_release(future);
    return err == -ETIMEDOUT ? 0 : err;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
