/* Ten sleepers at once: together they take as long as the longest, not as long as their sum. */
#include <pirn.h>
#include <stdio.h>
#include <string.h>

enum {
    SLEEPERS = 10,
    STEP_MS = 50
};

static int sleeper(void *arg)
{
    const int *ms = arg;
    int err = pirn_sleep(pirn_after_ms(*ms));

    if (err == 0)
        printf("slept %d ms\n", *ms);
    return err;
}

static int start(void *arg)
{
    int naps[SLEEPERS], i, err, closed;
    pirn_time begun = pirn_now();
    pirn_scope *scope;

    (void)arg;
    err = pirn_scope_open(&scope, 0);
    if (err < 0)
        return err;
    for (i = 0; i < SLEEPERS && err == 0; i++) {
        naps[i] = (SLEEPERS - i) * STEP_MS; /* started first, done last */
        err = pirn_scope_spawn(scope, sleeper, &naps[i], PIRN_NEVER);
    }
    if (err < 0)
        pirn_scope_cancel(scope, "a sleeper could not be started");
    /* The scope closes when every child has ended: naps[] lives long enough. */
    closed = pirn_scope_close(scope, PIRN_NEVER);
    if (err == 0)
        err = closed;
    if (err == 0)
        printf("all together: %lld ms\n", (long long)(pirn_now().ns - begun.ns) / 1000000);
    return err;
}

int main(void)
{
    int err = pirn_run(start, NULL);

    if (err < 0)
        fprintf(stderr, "sleepers: %s\n", strerror(-err));
    return err < 0;
}
