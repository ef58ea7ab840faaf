/*
 * A generator that never ends is asked for a value twice. It keeps its place: what comes before its
 * loop is done once.
 */
#include "seeds.h"

static int fun(pirn_generator *g, void *arg)
{
    const char *value = "a value of the generator ...";
    int err = 0;
    (void)arg;
    printf("---------start---------\n");
    while (err == 0)
        err = pirn_generator_yield(g, &value);
    return err; /* it has been closed */
}

static int start(void *arg)
{
    pirn_generator *g;
    const char *value;
    (void)arg;
    must(pirn_generator_new(&g, sizeof(value), fun, NULL));
    must(pirn_generator_next(g, &value, PIRN_NEVER));
    printf("%s\n", value);
    printf("********************\n");
    must(pirn_generator_next(g, &value, PIRN_NEVER));
    printf("%s\n", value);
    return pirn_generator_close(g);
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
