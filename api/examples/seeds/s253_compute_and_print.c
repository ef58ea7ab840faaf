/* A coroutine calls another one, which takes two seconds to add two numbers. */
#include "seeds.h"

struct numbers {
    int x, y;
};

static int compute(int x, int y, int *ret_sum)
{
    printf("compute %d + %d\n", x, y);
    int err = pirn_sleep(after(2));
    if (err < 0)
        return err;
    *ret_sum = x + y;
    return 0;
}

static int print_sum(void *arg)
{
    const struct numbers *n = arg;
    int result;
    printf("print %d + %d\n", n->x, n->y);
    int err = compute(n->x, n->y, &result);
    if (err < 0)
        return err;
    printf("%d + %d = %d\n", n->x, n->y, result);
    return 0;
}

int main(void)
{
    struct numbers n = {1, 2};
    pirn_time begun = pirn_now();
    int rc = pirn_run(print_sum, &n);
    printf("took: %f\n", since(begun));
    return report(rc);
}
