/*
 * A coroutine's runtime is the same however one asks, and a new one is another.
 *
 * Python has a loop for each thread, and two ways to get it. Here a runtime is what a coroutine
 * belongs to, wherever it runs; whoever it calls and whoever it spawns are told the same. A runtime
 * is not freed inside of a coroutine, so the new one is handed out.
 */
#include "seeds.h"

static int ask(void *arg)
{
    pirn_runtime **ret_runtime = arg;
    *ret_runtime = pirn_runtime_current();
    return 0;
}

static int start(void *arg)
{
    pirn_runtime *runtime1 = pirn_runtime_current(), *runtime2, **runtime3 = arg;
    pirn_task *child;
    must(pirn_spawn(&child, ask, &runtime2));
    must(pirn_join(child, NULL, PIRN_NEVER));
    must(pirn_runtime_new(runtime3, NULL));
    printf("%s\n", runtime1 == runtime2 ? "True" : "False");
    printf("%s\n", runtime1 == runtime2 && runtime2 == *runtime3 ? "True" : "False");
    return 0;
}

int main(void)
{
    pirn_runtime *other = NULL;
    int rc = pirn_run(start, &other);
    pirn_runtime_free(other);
    return report(rc);
}
