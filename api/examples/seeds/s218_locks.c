/*
 * A lock for a scope, a condition with a predicate, an event, a semaphore.
 *
 * Python's listing opens its scopes outside of any coroutine, calls the predicate instead of
 * handing it over, and leaves the last two empty; here each of the four does what it is for. They
 * work between coroutines and plain threads alike, and in parallel.
 */
#include <stdatomic.h>

#include "seeds.h"

enum {
    JOBS = 4,
    PERMITS = 2
};

static pirn_mutex lock = PIRN_MUTEX_INIT;
static pirn_condition cond = PIRN_CONDITION_INIT(&lock);
static pirn_event event = PIRN_EVENT_INIT;
static pirn_semaphore semaphore = PIRN_SEMAPHORE_INIT(PERMITS);
static int stock; /* under the lock */
static atomic_int inside, most_inside;

static int add_one(void *arg)
{
    (void)arg;
    PIRN_GUARD_MUTEX(guard, &lock, PIRN_NEVER); /* until the scope is left */
    if (guard.error != 0)
        return guard.error;
    stock++;
    pirn_condition_notify(&cond, 1);
    return 0;
}

static int is_available(void *arg)
{
    (void)arg;
    return stock == JOBS;
}

static int wait_for_stock(void *arg)
{
    (void)arg;
    PIRN_GUARD_MUTEX(guard, &lock, PIRN_NEVER);
    if (guard.error != 0)
        return guard.error;
    int err = pirn_condition_wait_for(&cond, is_available, NULL, PIRN_NEVER);
    if (err == 0)
        printf("condition: %d available\n", stock);
    return err;
}

static int wait_for_event(void *arg)
{
    (void)arg;
    return pirn_event_wait(&event, PIRN_NEVER);
}

static int take_a_permit(void *arg)
{
    (void)arg;
    PIRN_GUARD_SEMAPHORE(guard, &semaphore, PIRN_NEVER);
    if (guard.error != 0)
        return guard.error;
    int now = atomic_fetch_add(&inside, 1) + 1, most = atomic_load(&most_inside);
    while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now))
        ;
    int err = pirn_sleep(after(0.2));
    atomic_fetch_sub(&inside, 1);
    return err;
}

/* fn in JOBS coroutines; `then` meanwhile, in this one. */
static int with_jobs(pirn_fn fn, pirn_fn then)
{
    pirn_scope *scope;
    must(pirn_scope_open(&scope, 0));
    for (int i = 0; i < JOBS; i++)
        must(pirn_scope_spawn(scope, fn, NULL, PIRN_NEVER));
    int err = then != NULL ? then(NULL) : 0;
    if (err < 0)
        pirn_scope_cancel(scope, "nobody is interested any more");
    int closed = pirn_scope_close(scope, PIRN_NEVER);
    return err < 0 ? err : closed;
}

static int set_event(void *arg)
{
    (void)arg;
    return pirn_event_set(&event);
}

static int start(void *arg)
{
    (void)arg;
    must(with_jobs(add_one, wait_for_stock));
    printf("lock: %s\n", pirn_mutex_is_locked(&lock) ? "still taken" : "free again");
    must(with_jobs(wait_for_event, set_event));
    printf("event: all have seen it\n");
    must(with_jobs(take_a_permit, NULL));
    printf("semaphore: %d at a time\n", atomic_load(&most_inside));
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
