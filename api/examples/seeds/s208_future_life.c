/*
 * The life of a future: what it says before it is set, a callback for when it is, and afterwards.
 *
 * To read one that is not set is no exception but a status of its own, -EINPROGRESS. In Python the
 * callback runs when main has let the loop go on, so it prints last. Here it is a coroutine on any
 * worker, and may well print before main's last line; it has run when pirn_run returns.
 */
#include <errno.h>

#include "seeds.h"

static const char *said(bool yes)
{
    return yes ? "True" : "False";
}

static void say(pirn_awaitable *future, void *user)
{
    (void)future;
    (void)user;
    printf("Run future done callback!\n");
}

static void read_result(const pirn_future *future)
{
    int status = pirn_status(future);
    if (status == -EINPROGRESS)
        printf("Result is not set\n");
    else
        printf("get future result: %d\n", status);
}

static int start(void *arg)
{
    pirn_future *future;
    (void)arg;
    must(pirn_future_new(&future));
    printf("%s\n", said(pirn_done(future)));
    printf("%s\n", said(pirn_status(future) == -ECANCELED));
    printf("%s\n", said(pirn_future_runtime(future) == pirn_runtime_current()));

    read_result(future);
    must(pirn_add_done_callback(future, NULL, say, NULL));
    must(pirn_future_set(future, 111, NULL));
    read_result(future);
    pirn_release(future);
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
