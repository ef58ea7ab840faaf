/*
 * The words of the glossary in api/asyncio.md, each as a function of that name: what it prints is
 * what the word means.
 */
#include <errno.h>
#include <pirn.h>
#include <stdio.h>
#include <string.h>

static int number = 41; /* not on a stack that could go before a child does */

/* A coroutine is a function like this one. It waits where it likes, and its worker runs others. */
static int coroutine(void *arg)
{
    int rc = pirn_sleep(pirn_after_ms(5));
    return rc < 0 ? rc : *(const int *)arg + 1;
}

/* Called, it is a call: the caller waits for it (asyncio's `await coroutine(41)`). */
static int await(void)
{
    int rc = coroutine(&number);
    if (rc >= 0)
        printf("await: %d\n", rc);
    return rc < 0 ? rc : 0;
}

/* Made, and not begun: its first await begins it. */
static int coroutine_object(void)
{
    pirn_task *object;
    int status;
    number = 1;
    int rc = pirn_coroutine_new(&object, NULL, coroutine, &number);
    if (rc < 0)
        return rc;
    number = 41; /* it has not looked yet */
    rc = pirn_await(object, &status, PIRN_NEVER);
    if (rc == 0)
        printf("coroutine object: %d\n", status);
    pirn_release(object);
    return rc;
}

/* Runs from the spawn on, beside its parent or before the spawn has returned. */
static int task(void)
{
    pirn_task *child;
    int status;
    int rc = pirn_spawn(&child, coroutine, &number);
    if (rc == 0)
        rc = pirn_join(child, &status, PIRN_NEVER);
    if (rc == 0)
        printf("task: %d\n", status);
    return rc;
}

static int settle(void *arg)
{
    return pirn_future_set(arg, 42, NULL);
}

/* A value to come. Anybody may set it, once; any number may await it. */
static int future(void)
{
    pirn_future *answer;
    pirn_task *setter;
    int status;
    int rc = pirn_future_new(&answer);
    if (rc < 0)
        return rc;
    rc = pirn_call_at(NULL, &setter, settle, answer, pirn_after_ms(5)); /* asyncio's call_later */
    if (rc == 0) {
        rc = pirn_await(answer, &status, PIRN_NEVER);
        if (rc == 0)
            printf("future: %d\n", status);
        int ended = pirn_join(setter, NULL, PIRN_NEVER); /* it is through with answer then */
        rc = rc == 0 ? ended : rc;
    }
    pirn_release(answer);
    return rc;
}

static void heard(pirn_awaitable *ended, void *user)
{
    printf("callback: %s, %d\n", (const char *)user, pirn_status(ended));
}

/* Called when an awaitable has ended, in a coroutine of its own. */
static int callback(void)
{
    pirn_task *child;
    int rc = pirn_spawn(&child, coroutine, &number);
    if (rc < 0)
        return rc;
    rc = pirn_add_done_callback(child, NULL, heard, (void *)"it has ended");
    if (rc < 0)
        fprintf(stderr, "no callback: %s\n", strerror(-rc));
    return pirn_join(child, NULL, PIRN_NEVER);
}

/* Sent to a task, it makes the call that the task waits in return -ECANCELED. */
static int cancel(void)
{
    pirn_task *child;
    int status;
    int rc = pirn_spawn(&child, coroutine, &number);
    if (rc < 0)
        return rc;
    pirn_cancel(child, "shown in a glossary");
    rc = pirn_join(child, &status, PIRN_NEVER);
    if (rc == 0)
        printf("cancel: %s\n", status == -ECANCELED ? "it ended with -ECANCELED" : "too late");
    return rc;
}

static int count(pirn_generator *self, void *arg)
{
    const int *from = arg;
    int rc = 0;
    for (int i = *from - 1; rc == 0 && i <= *from + 1; i++)
        rc = pirn_generator_yield(self, &i);
    return rc;
}

/* Hands out values one by one, and keeps its place in between. */
static int generator(void)
{
    pirn_generator *numbers;
    int value, rc = pirn_generator_new(&numbers, sizeof(value), count, &number);
    if (rc < 0)
        return rc;
    printf("generator:");
    while ((rc = pirn_generator_next(numbers, &value, PIRN_NEVER)) == 1)
        printf(" %d", value);
    printf("\n");
    pirn_generator_close(numbers);
    return rc;
}

static int all(void *arg)
{
    static int (*const words[])(void) = {await,  coroutine_object, task,    future,
                                         cancel, generator,        callback};
    int rc = 0;
    (void)arg;
    for (size_t i = 0; rc == 0 && i < sizeof(words) / sizeof(words[0]); i++)
        rc = words[i]();
    return rc;
}

/* The loop: made, run until something has ended, run again, freed. It has a thread for each
 * core. */
static int loop(void)
{
    pirn_runtime *runtime;
    int status;
    int rc = pirn_runtime_new(&runtime, NULL);
    if (rc < 0)
        return rc;
    rc = pirn_runtime_run_until_complete(runtime, coroutine, &number, &status);
    if (rc == 0)
        printf("loop: %d\n", status);
    if (rc == 0)
        rc = pirn_runtime_run_until_complete(runtime, all, NULL, &status);
    pirn_runtime_free(runtime);
    return rc < 0 ? rc : status;
}

int main(void)
{
    int rc = loop();
    if (rc < 0)
        fprintf(stderr, "%s\n", strerror(-rc));
    return rc < 0;
}
