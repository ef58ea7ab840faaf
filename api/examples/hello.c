/* The smallest program: start a coroutine, wait for it, look at what it said. */
#include <pirn.h>
#include <stdio.h>
#include <string.h>

static int greet(void *arg)
{
    printf("hello from a coroutine, %s\n", (const char *)arg);
    return 42;
}

static int start(void *arg)
{
    pirn_task *task;
    int status;
    int err = pirn_spawn(&task, greet, arg);

    if (err == 0)
        err = pirn_join(task, &status, PIRN_NEVER);
    if (err == 0)
        printf("it said %d\n", status);
    return err;
}

int main(void)
{
    char name[] = "world";
    int err = pirn_run(start, name);

    if (err < 0)
        fprintf(stderr, "hello: %s\n", strerror(-err));
    return err < 0;
}
