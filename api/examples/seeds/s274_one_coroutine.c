/* One coroutine of two seconds, run. */
#include "seeds.h"

static int dd(void *arg)
{
    (void)arg;
    printf("dd\n");
    return pirn_sleep(after(2));
}

int main(void)
{
    pirn_time begun = pirn_now();
    must(pirn_run(dd, NULL));
    printf("took: %f\n", since(begun));
    return 0;
}
