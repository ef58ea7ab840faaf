/* Five sleeps of a second, one after the other, without coroutines: five seconds. What the others
 * are compared with. */
#include "seeds.h"

static void foo(void)
{
    block(1);
}

int main(void)
{
    pirn_time begun = pirn_now();
    for (int i = 0; i < 5; i++)
        foo();
    printf("in line it took %f s\n", since(begun));
    return 0;
}
