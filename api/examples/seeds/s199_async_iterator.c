/*
 * An iterator whose next function takes a second: 0, 1 and 2, a second apart.
 *
 * There are no two kinds of iterators here: a function that suspends is called like any other. Only
 * the end and an error must be told apart now, so next returns 1, 0, or a negative errno, as the
 * library's own calls of that kind do. (A generator, S219, makes such an object out of a loop.)
 */
#include "seeds.h"

typedef struct my_range {
    int count, end;
} my_range;

/* 1: *ret_value is the next one. 0: that was all (StopAsyncIteration). -ECANCELED. */
static int my_range_next(my_range *range, int *ret_value)
{
    int err = pirn_sleep(after(1));
    if (err < 0)
        return err;
    if (++range->count == range->end)
        return 0;
    *ret_value = range->count;
    return 1;
}

static int start(void *arg)
{
    my_range range = {-1, 3};
    int i, rc;
    (void)arg;
    while ((rc = my_range_next(&range, &i)) == 1)
        printf("%d\n", i);
    return rc;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
