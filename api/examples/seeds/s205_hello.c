/*
 * Sleeps a second in a function called by main, and says hello.
 *
 * Python's text sets a breakpoint here, to show the loop's functions between main and the program's
 * own. In gdb a coroutine's stack begins with main, and leads straight to where it waits; those
 * that do not run are listed by `pirn tasks` and `pirn bt` (see CONTRIBUTING.md).
 */
#include "seeds.h"

static int sleep_then_hello(double seconds)
{
    int err = pirn_sleep(after(seconds));
    if (err < 0)
        return err;
    printf("hello asyncio\n");
    return 0;
}

static int start(void *arg)
{
    (void)arg;
    return sleep_then_hello(1);
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
