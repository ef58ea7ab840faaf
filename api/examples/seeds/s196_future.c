/*
 * A future that another task sets after two seconds, and the text that comes through it.
 *
 * Python's listing calls the future like a function; it is to be awaited. The task that sets it is
 * detached: nobody asks how it ended, as with Python's create_task without a name for the result.
 * It has a reference to the future of its own, because here it may still be in its last line when
 * main is through.
 */
#include "seeds.h"

static int f1(void *arg)
{
    pirn_future *future = arg;
    int err = pirn_sleep(after(2));
    if (err == 0)
        err = pirn_future_set(future, 0, "abc");
    pirn_release(future);
    return err;
}

static int start(void *arg)
{
    pirn_future *future;
    void *text;
    (void)arg;
    must(pirn_future_new(&future));
    must(pirn_spawn(NULL, f1, pirn_retain(future)));

    must(pirn_future_await(future, NULL, &text, PIRN_NEVER));
    printf("%s\n", (const char *)text);
    pirn_release(future);
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
