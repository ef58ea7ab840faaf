/*
 * A reader whose lines are read one by one, in a coroutine: it counts to 99.
 *
 * The async for loop is a while loop over a function that may suspend; this one does not even do
 * that.
 */
#include "seeds.h"

typedef struct reader {
    int count;
} reader;

/* 1: *ret_value is the next line. 0: that was all. */
static int reader_next(reader *r, int *ret_value)
{
    if (++r->count == 100)
        return 0;
    *ret_value = r->count;
    return 1;
}

static int start(void *arg)
{
    reader r = {0};
    int i, rc;
    (void)arg;
    while ((rc = reader_next(&r, &i)) == 1)
        printf("%d\n", i);
    return rc;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
