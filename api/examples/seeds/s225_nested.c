/* A coroutine calls another one that takes two seconds, and goes on with what that returned. */
#include "seeds.h"

static int others(const char **ret_value)
{
    printf("start\n");
    int err = pirn_sleep(after(2));
    if (err < 0)
        return err;
    printf("end\n");
    *ret_value = "return value";
    return 0;
}

static int func(void *arg)
{
    const char *response;
    (void)arg;
    printf("inside the coroutine function\n");
    int err = others(&response);
    if (err < 0)
        return err;
    printf("the I/O gave: %s\n", response);
    return 0;
}

int main(void)
{
    return report(pirn_run(func, NULL));
}
