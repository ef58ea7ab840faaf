/*
 * Two ways to run a coroutine of three seconds, one after the other; then a runtime is made, asked,
 * told to stop, and closed.
 *
 * A stop of a runtime that does not run makes its next run a single pass, as in Python; nothing
 * comes of it here, for it is closed.
 */
#include "seeds.h"

static int nap(void *arg)
{
    (void)arg;
    int err = pirn_sleep(after(3));
    if (err < 0)
        return err;
    printf("nap done\n");
    return 0;
}

static const char *said(int yes)
{
    return yes ? "True" : "False";
}

int main(void)
{
    pirn_runtime *runtime;

    /* The first way. */
    must(pirn_runtime_new(&runtime, NULL));
    must(pirn_runtime_run_until_complete(runtime, nap, NULL, NULL));
    must(pirn_runtime_free(runtime));

    /* The second. */
    must(pirn_run(nap, NULL));

    /* Stopping. */
    must(pirn_runtime_new(&runtime, NULL));
    printf("%s\n", said(pirn_runtime_is_closed(runtime)));
    printf("%s\n", said(pirn_runtime_is_running(runtime)));
    pirn_runtime_stop(runtime);
    must(pirn_runtime_close(runtime));
    printf("%s\n", said(pirn_runtime_is_closed(runtime)));
    return report(pirn_runtime_free(runtime));
}
