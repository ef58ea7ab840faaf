/*
 * Functions to be called soon, in a while, at a time, and from another thread, by a runtime that
 * has nothing else to do, and runs until it is stopped: with Ctrl-C, here.
 *
 * They are called in the order of their times, not of the lines below; those for the same time in
 * any order. There are two functions where Python has four: every call here may be made from any
 * thread, and pirn_call_at serves for a time and for a span. A stop before the run would make it a
 * single pass, in which nothing timed is called.
 */
#include <errno.h>
#include <pthread.h>

#include "seeds.h"

struct call {
    const char *method;
    int sleep_times;
};

static int callback(void *arg)
{
    const struct call *call = arg;
    printf("%s ==> %d\n", call->method, call->sleep_times);
    return 0;
}

static void *another_thread(void *arg)
{
    static struct call call = {"call_soon_threadsafe", 2};
    must(pirn_call_soon(arg, NULL, callback, &call));
    return NULL;
}

int main(void)
{
    static struct call later[] = {{"call_later", 2}, {"call_later", 1}, {"call_later", 3}};
    static struct call at[] = {{"call_at", 2}, {"call_at", 1}, {"call_at", 3}};
    static struct call soon = {"call_soon", 5};
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_runtime *runtime;
    pthread_t thread;

    config.flags = PIRN_SIGINT_CANCELS;
    must(pirn_runtime_new(&runtime, &config));
    for (int i = 0; i < 3; i++)
        must(pirn_call_at(runtime, NULL, callback, &later[i], after(later[i].sleep_times)));
    must(pirn_call_soon(runtime, NULL, callback, &soon));
    pirn_time now = pirn_now();
    for (int i = 0; i < 3; i++) {
        pirn_time when = {now.ns + (int64_t)(at[i].sleep_times * seed_second_ns())};
        must(pirn_call_at(runtime, NULL, callback, &at[i], when));
    }
    if (pthread_create(&thread, NULL, another_thread, runtime) != 0)
        must(-EAGAIN);

    int rc = pirn_runtime_run_forever(runtime);
    pthread_join(thread, NULL);
    must(pirn_runtime_free(runtime));
    return report(rc == -EINTR ? 0 : rc);
}
