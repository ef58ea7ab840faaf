/* wraps pirn_task_spawn */
/* wraps pirn_task_prepare_at */
/* wraps pirn_crew_submit */
/*
 * A handle is where its owner wants it before what it is a handle of can look for it there: the
 * function, which may begin before the call that made it returns. Here it has ended by then.
 */
#include "runtime/crew.h"
#include "runtime/task.h"
#include "tests/support.h"

struct call {
    pirn_awaitable *handle; /* of itself */
    bool there;
    atomic_int ended;
};

static _Thread_local struct call *watched;

static int look(void *arg)
{
    struct call *c = arg;
    c->there = c->handle != NULL;
    atomic_store(&c->ended, 1);
    return 0;
}

static int outlast(int rc)
{
    if (watched != NULL && rc == 0)
        support_until(&watched->ended, 1);
    return rc;
}

int __real_pirn_task_spawn(pirn_task **ret_task, const pirn_spawn_config *config, pirn_fn fn,
                           void *arg, const struct spawn_how *how, void *site);
int __wrap_pirn_task_spawn(pirn_task **ret_task, const pirn_spawn_config *config, pirn_fn fn,
                           void *arg, const struct spawn_how *how, void *site);
int __wrap_pirn_task_spawn(pirn_task **ret_task, const pirn_spawn_config *config, pirn_fn fn,
                           void *arg, const struct spawn_how *how, void *site)
{
    int rc = __real_pirn_task_spawn(ret_task, config, fn, arg, how, site);
    return how != NULL && (how->flags & TASK_PREPARED) != 0 ? rc : outlast(rc);
}

int __real_pirn_task_prepare_at(struct pirn_task *t, int64_t when);
int __wrap_pirn_task_prepare_at(struct pirn_task *t, int64_t when);
int __wrap_pirn_task_prepare_at(struct pirn_task *t, int64_t when)
{
    return outlast(__real_pirn_task_prepare_at(t, when));
}

int __real_pirn_crew_submit(struct crew *crew, struct work *work);
int __wrap_pirn_crew_submit(struct crew *crew, struct work *work);
int __wrap_pirn_crew_submit(struct crew *crew, struct work *work)
{
    return outlast(__real_pirn_crew_submit(crew, work));
}

static int stays(void *arg)
{
    return pirn_future_await(arg, NULL, NULL, PIRN_NEVER);
}

struct other {
    int workers;
    atomic_int runs;
    _Atomic(pirn_runtime *) runtime;
    pirn_future *gate;
};

static int waits(void *arg)
{
    struct other *o = arg;
    atomic_store(&o->runtime, pirn_runtime_current());
    atomic_store(&o->runs, 1);
    return stays(o->gate);
}

static void *runs(void *arg)
{
    struct other *o = arg;
    CHECK_OK(support_run(o->workers, waits, o));
    return NULL;
}

static void check(int rc, struct call *c)
{
    watched = NULL;
    CHECK_OK(rc);
    CHECK(c->there);
    CHECK_OK(support_join(c->handle));
}

START_TEST(handle_is_there_before_the_call)
{
    FOR_WORKERS(w)
    {
        struct other o = {.workers = w};
        struct call soon = {0}, at = {0}, later = {0}, spawned = {0}, job = {0};
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        CHECK_OK(pirn_future_new(&o.gate));
        pthread_t thread = support_thread(runs, &o);
        support_until(&o.runs, 1);
        config.runtime = atomic_load(&o.runtime);
        watched = &soon;
        check(pirn_call_soon(config.runtime, &soon.handle, look, &soon), &soon);
        watched = &at;
        check(pirn_call_at(config.runtime, &at.handle, look, &at, PIRN_NOW), &at);
        watched = &later;
        check(pirn_call_at(config.runtime, &later.handle, look, &later, pirn_after_ms(1)), &later);
        watched = &spawned;
        check(pirn_spawn_with(&spawned.handle, &config, look, &spawned), &spawned);
        watched = &job;
        check(pirn_thread_pool_submit(NULL, &job.handle, look, &job), &job);
        CHECK_OK(pirn_future_set(o.gate, 0, NULL));
        support_thread_join(thread);
        CHECK_OK(pirn_release(o.gate));
    }
}
END_TEST

SUPPORT_MAIN("asyncio/handle_there", handle_is_there_before_the_call)
