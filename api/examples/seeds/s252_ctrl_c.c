/*
 * Three jobs of two seconds, and what Ctrl-C does to them: each is cancelled, gets to clean up, and
 * the program ends with 130, as a shell expects it.
 *
 * Python raises KeyboardInterrupt out of the loop, which must be stopped and run once more for the
 * cancels to arrive. Here SIGINT cancels main, if the config asks for that: the wait says so, main
 * cancels its jobs and waits for them, and the run says -EINTR. Without SIGINT it takes two
 * seconds.
 */
#include <errno.h>
#include <signal.h>

#include "seeds.h"

enum {
    JOBS = 3
};

static int test_async(void *arg)
{
    (void)arg;
    printf("this is a test for async\n");
    int err = pirn_sleep(after(2));
    if (err < 0)
        return err;
    printf("test again\n");
    return pirn_set_value("lixingyun", NULL);
}

static int start(void *arg)
{
    pirn_task *jobs[JOBS];
    (void)arg;
    for (int i = 0; i < JOBS; i++)
        must(pirn_spawn(&jobs[i], test_async, NULL));
    int rc = pirn_wait(jobs, JOBS, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER);
    if (rc == -ECANCELED) {
        for (int i = 0; i < JOBS; i++)
            printf("cancel task ==> %s\n", pirn_cancel(jobs[i], "Ctrl-C") == 0 ? "True" : "False");
        must(pirn_wait(jobs, JOBS, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
    }
    for (int i = 0; i < JOBS; i++)
        pirn_release(jobs[i]);
    return rc;
}

int main(void)
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_time begun = pirn_now();
    int status;
    config.flags = PIRN_SIGINT_CANCELS;
    must(pirn_run_with(&config, start, NULL, &status));
    printf("took: %f\n", since(begun));
    return status == -EINTR ? 128 + SIGINT : report(status);
}
