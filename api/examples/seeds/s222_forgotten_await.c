/*
 * Five times a coroutine that makes another one, for a sleep, and forgets to await it: it takes no
 * time, for nobody ever sleeps.
 *
 * In C the slip is rare: to await a function is to call it, and a plain pirn_sleep() does sleep.
 * What can be forgotten is a coroutine object. The compiler warns that the result of making one is
 * not looked at (this program is built with -Wno-unused-result), and debug mode (PIRN_DEBUG=1)
 * names the coroutine.
 */
#include "seeds.h"

static int second(void *arg)
{
    (void)arg;
    return pirn_sleep(after(1));
}

static int fun(void *arg)
{
    pirn_task *forgotten = NULL;
    (void)arg;
    pirn_coroutine_new(&forgotten, NULL, second, NULL);
    printf("I am an async task ...\n");
    pirn_release(forgotten); /* Python's collector does that */
    return 0;
}

int main(void)
{
    pirn_time begun = pirn_now();
    for (int i = 0; i < 5; i++)
        must(pirn_run(fun, NULL));
    printf("asynchronously it took %f s\n", since(begun));
    return 0;
}
