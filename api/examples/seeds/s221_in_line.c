/* Five sleeps of a second, one after the other, without coroutines: five seconds. What the others are
 * compared with. */
#include <time.h>

#include "seeds.h"

static void foo(void)
{
    int64_t ns = (int64_t)seed_second_ns();
    struct timespec second = {ns / 1000000000, ns % 1000000000};
    nanosleep(&second, NULL);
}

int main(void)
{
    pirn_time begun = pirn_now();
    for (int i = 0; i < 5; i++)
        foo();
    printf("in line it took %f s\n", since(begun));
    return 0;
}
