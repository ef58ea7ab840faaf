/* Two coroutines of one and two seconds, gathered: two seconds. */
#include "seeds.h"

static int cc(void *arg)
{
    (void)arg;
    printf("cc\n");
    return pirn_sleep(after(1));
}

static int dd(void *arg)
{
    (void)arg;
    printf("dd\n");
    return pirn_sleep(after(2));
}

static int task(void *arg)
{
    pirn_awaitable *items[2], *all;
    int status;
    (void)arg;
    must(pirn_coroutine_new(&items[0], NULL, cc, NULL));
    must(pirn_coroutine_new(&items[1], NULL, dd, NULL));
    must(pirn_gather(&all, items, 2, 0));
    pirn_release(items[0]);
    pirn_release(items[1]);
    must(pirn_join(all, &status, PIRN_NEVER));
    return status;
}

int main(void)
{
    pirn_time begun = pirn_now();
    must(pirn_run(task, NULL));
    printf("took: %f\n", since(begun));
    return 0;
}
