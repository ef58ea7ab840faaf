/* Two coroutines, one after the other, by one runtime. */
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
    pirn_runtime *runtime;
    must(pirn_runtime_new(&runtime, NULL));
    must(pirn_runtime_run_until_complete(runtime, cc, NULL, NULL));
    must(pirn_runtime_run_until_complete(runtime, dd, NULL, NULL));
    return report(pirn_runtime_free(runtime));
}
