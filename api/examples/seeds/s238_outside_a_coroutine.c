/*
 * The loop of S237 outside of any coroutine. In Python that is a syntax error.
 *
 * Here it is defined what each call does on a plain thread. Most are marked [anywhere]: they block
 * the thread instead of suspending a coroutine, so this reader, which sleeps before each line,
 * works as it does in a coroutine. What makes sense in a coroutine alone is marked so, and returns
 * -EPERM.
 */
#include "seeds.h"

typedef struct reader {
    int count, end;
} reader;

/* 1: *ret_value is the next line. 0: that was all. -ECANCELED. */
static int reader_next(reader *r, int *ret_value)
{
    int err = pirn_sleep(after(0.5));
    if (err < 0)
        return err;
    if (++r->count == r->end)
        return 0;
    *ret_value = r->count;
    return 1;
}

int main(void)
{
    reader r = {0, 4};
    int i, rc;
    while ((rc = reader_next(&r, &i)) == 1)
        printf("%d\n", i);
    printf("yield: %s\n", strerror(-pirn_yield()));
    return report(rc);
}
