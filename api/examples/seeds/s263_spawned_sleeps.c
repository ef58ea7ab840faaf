/* Two tasks that sleep one and two seconds, created, then awaited one after the other. */
#include "seeds.h"

static int real_async(void *arg)
{
    const int *n = arg;
    printf("this is real async func\n");
    pirn_time begun = pirn_now();
    int err = pirn_sleep(after(*n));
    if (err < 0)
        return err;
    printf("end sleep %f\n", since(begun));
    return 0;
}

static int do_it(void *arg)
{
    static int seconds[] = {1, 2};
    pirn_task *t1, *t2;
    (void)arg;
    printf("invoke real async\n");
    must(pirn_spawn(&t1, real_async, &seconds[0]));
    must(pirn_spawn(&t2, real_async, &seconds[1]));
    must(pirn_join(t1, NULL, PIRN_NEVER));
    must(pirn_join(t2, NULL, PIRN_NEVER));
    return 0;
}

int main(void)
{
    return report(pirn_run(do_it, NULL));
}
