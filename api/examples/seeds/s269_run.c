/* Two coroutines, one after the other, each with a run of its own. Compare S268. */
#include "seeds.h"

static int cc(void *arg)
{
    (void)arg;
    printf("cc\n");
    return 0;
}

static int dd(void *arg)
{
    (void)arg;
    printf("dd\n");
    return 0;
}

int main(void)
{
    must(pirn_run(cc, NULL));
    must(pirn_run(dd, NULL));
    return 0;
}
