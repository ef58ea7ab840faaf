/* The same helper called twice in a row: the second begins when the first has ended. Compare
 * S227. */
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
    const char *response_1, *response_2;
    (void)arg;
    printf("inside the coroutine function\n");
    int err = others(&response_1);
    if (err < 0)
        return err;
    printf("response 1: %s\n", response_1);
    err = others(&response_2);
    if (err < 0)
        return err;
    printf("response 2: %s\n", response_2);
    return 0;
}

int main(void)
{
    return report(pirn_run(func, NULL));
}
