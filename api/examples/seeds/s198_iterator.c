/*
 * An iterator: an object with a next function, which says when there is no more.
 *
 * No coroutine takes part, nor does pirn: an iterator in C is a struct and a loop condition. It
 * prints 8 and 9. (Python's listing prints the letter i, twice.)
 */
#include "seeds.h"

typedef struct my_range {
    int count, end;
} my_range;

static my_range my_range_between(int start, int end)
{
    return (my_range){start - 1, end};
}

/* True: *ret_value is the next one. False: that was all (StopIteration). */
static bool my_range_next(my_range *range, int *ret_value)
{
    if (++range->count == range->end)
        return false;
    *ret_value = range->count;
    return true;
}

int main(void)
{
    my_range range = my_range_between(8, 10);
    int i;
    while (my_range_next(&range, &i))
        printf("%d\n", i);
    return 0;
}
