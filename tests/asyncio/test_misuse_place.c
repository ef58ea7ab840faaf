/* Misuse of scopes, generators and runtimes; and calls of coroutines on plain threads. */
#include "tests/asyncio/misuse.h"

#include <signal.h>

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int call_nothing(size_t i, void *arg)
{
    (void)i, (void)arg;
    return 0;
}

static void clean_nothing(void *arg, int status)
{
    (void)arg, (void)status;
}

/* ---- Scopes ------------------------------------------------------------------------------ */

static pirn_scope *opened(void)
{
    pirn_scope *scope;
    CHECK_OK(pirn_scope_open(&scope, 0));
    return scope;
}

static int close_own_scope(void *scope)
{
    return pirn_scope_close(scope, PIRN_NEVER);
}

static int wait_for_own_scope(void *scope)
{
    return pirn_scope_wait(scope, PIRN_NEVER);
}

static int fail_own_scope(void *scope)
{
    return pirn_scope_fail(scope, -EIO);
}

/* By a child of it, whose failure it is then. */
static int by_a_child(pirn_fn fn)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope *scope = opened();
    config.name = "culprit";
    CHECK_OK(pirn_scope_spawn_with(scope, &config, fn, scope, PIRN_NEVER));
    return pirn_scope_close(scope, PIRN_NEVER);
}

static int closed_by_a_child(void)
{
    return by_a_child(close_own_scope);
}

static int waited_for_by_a_child(void)
{
    return by_a_child(wait_for_own_scope);
}

static int failed_by_a_child(void)
{
    return by_a_child(fail_own_scope);
}

static int closed_by_another(void)
{
    pirn_scope *scope = opened();
    int rc = support_join(support_spawn_named("culprit", close_own_scope, scope));
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    return rc;
}

static int closed_in_the_wrong_order(void)
{
    pirn_scope *outer = opened(), *inner = opened();
    int rc = pirn_scope_close(outer, PIRN_NEVER);
    CHECK_OK(pirn_scope_close(inner, PIRN_NEVER));
    CHECK_OK(pirn_scope_close(outer, PIRN_NEVER));
    return rc;
}

static int waited_for_twice(void)
{
    pirn_scope *scope = opened();
    CHECK_OK(pirn_scope_wait(scope, PIRN_NEVER));
    int rc = pirn_scope_wait(scope, PIRN_NEVER);
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    return rc;
}

static int spawned_into_when_over(void)
{
    pirn_scope *scope = opened();
    CHECK_OK(pirn_scope_wait(scope, PIRN_NEVER));
    int rc = pirn_scope_spawn(scope, nothing, NULL, PIRN_NEVER);
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    return rc;
}

static int failed_when_over(void)
{
    pirn_scope *scope = opened();
    CHECK_OK(pirn_scope_wait(scope, PIRN_NEVER));
    int rc = pirn_scope_fail(scope, -EIO);
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    return rc;
}

/* ---- Generators -------------------------------------------------------------------------- */

static int pulls_from_itself(pirn_generator *g, void *arg)
{
    (void)arg;
    return pirn_generator_next(g, NULL, PIRN_NEVER);
}

static int closes_itself(pirn_generator *g, void *arg)
{
    (void)arg;
    return pirn_generator_close(g);
}

static int yields(pirn_generator *g, void *arg)
{
    return pirn_generator_yield(g, arg);
}

static int by_a_body(pirn_generator_fn fn)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_generator *g;
    config.name = "culprit";
    CHECK_OK(pirn_generator_new_with(&g, &config, 0, fn, NULL));
    int rc = pirn_generator_next(g, NULL, PIRN_NEVER);
    CHECK_OK(pirn_generator_close(g));
    return rc;
}

static int pulled_by_its_body(void)
{
    return by_a_body(pulls_from_itself);
}

static int closed_by_its_body(void)
{
    return by_a_body(closes_itself);
}

static int yield_for_another(void)
{
    pirn_generator *g;
    CHECK_OK(pirn_generator_new(&g, 0, yields, NULL));
    int rc = pirn_generator_yield(g, NULL);
    CHECK_OK(pirn_generator_close(g));
    return rc;
}

/* ---- Tasks and runtimes ------------------------------------------------------------------ */

struct letting_go {
    atomic_int released, over;
    int rc;
};

static int lets_go_again(void *arg)
{
    struct letting_go *l = arg;
    support_until(&l->released, 1);
    l->rc = pirn_detach(pirn_current());
    atomic_store(&l->over, 1);
    return 0;
}

static int detach_what_nobody_has(void)
{
    struct letting_go l = {0};
    CHECK_OK(pirn_detach(support_spawn_named("culprit", lets_go_again, &l)));
    atomic_store(&l.released, 1);
    support_until(&l.over, 1);
    return l.rc;
}

static void *frees(void *runtime)
{
    CHECK_OK(pirn_runtime_free(runtime));
    return NULL;
}

static int on_another(int (*fn)(pirn_runtime *runtime))
{
    pirn_runtime *rt;
    support_blocking_begin(); /* until its threads are there */
    CHECK_OK(pirn_runtime_new(&rt, NULL));
    support_blocking_end();
    int rc = fn(rt);
    support_thread_join(support_thread(frees, rt));
    return rc;
}

static int run_another(void)
{
    return on_another(pirn_runtime_run_forever);
}

static int close_another(void)
{
    return on_another(pirn_runtime_close);
}

static int clone_what_it_has_not(void)
{
    pirn_channel *both, *sender, *receiver;
    CHECK_OK(pirn_channel_new(&both, 1, 0, NULL));
    CHECK_OK(pirn_channel_clone(both, PIRN_CHANNEL_SEND, &sender));
    int rc = pirn_channel_clone(sender, PIRN_CHANNEL_RECV, &receiver);
    pirn_channel_release(sender);
    pirn_channel_release(both);
    return rc;
}

/* ---- Where there is no coroutine, or no runtime ------------------------------------------ */

static int spawns(void)
{
    pirn_task *task;
    return pirn_spawn(&task, nothing, NULL);
}

static int calls_soon(void)
{
    return pirn_call_soon(NULL, NULL, nothing, NULL);
}

static int calls_at(void)
{
    return pirn_call_at(NULL, NULL, nothing, NULL, PIRN_NOW);
}

static int makes_a_coroutine(void)
{
    pirn_task *task;
    return pirn_coroutine_new(&task, NULL, nothing, NULL);
}

static void done(pirn_awaitable *awaitable, void *user)
{
    (void)awaitable, (void)user;
}

static int adds_a_callback(void)
{
    pirn_future *future;
    CHECK_OK(pirn_future_new(&future));
    int rc = pirn_add_done_callback(future, NULL, done, NULL);
    CHECK_OK(pirn_release(future));
    return rc;
}

static int runs_in_time(void)
{
    return pirn_with_timeout(nothing, NULL, PIRN_NEVER);
}

static int on_a_stream(ssize_t (*fn)(pirn_stream *stream))
{
    int fds[2];
    pirn_stream *stream;
    CHECK_OK(pipe(fds));
    CHECK_OK(pirn_stream_new(&stream, fds[0], NULL));
    ssize_t rc = fn(stream);
    pirn_stream_release(stream);
    CHECK_OK(close(fds[1]));
    return (int)rc;
}

static ssize_t read_line(pirn_stream *stream)
{
    const char *line;
    return pirn_stream_read_line(stream, &line, PIRN_NEVER);
}

static int reads_a_line(void)
{
    return on_a_stream(read_line);
}

static ssize_t write_vector(pirn_stream *stream)
{
    return pirn_stream_writev(stream, NULL, 0);
}

static int writes_a_vector(void)
{
    return on_a_stream(write_vector);
}

static ssize_t drain(pirn_stream *stream)
{
    return pirn_stream_drain(stream, PIRN_NEVER);
}

static int drains(void)
{
    return on_a_stream(drain);
}

static int handle(pirn_stream *stream, void *user)
{
    (void)stream, (void)user;
    return 0;
}

static int makes_a_server(void)
{
    pirn_server *server;
    return pirn_server_new(&server, handle, NULL, NULL);
}

static int makes_a_generator(void)
{
    pirn_generator *g;
    return pirn_generator_new(&g, 0, yields, NULL);
}

static int opens_a_scope(void)
{
    pirn_scope *scope;
    return pirn_scope_open(&scope, 0);
}

static int loops(void)
{
    return pirn_parallel_for(0, 1, call_nothing, NULL);
}

static int races(void)
{
    pirn_call call = {nothing, NULL};
    return pirn_race(&call, 1, NULL, NULL, NULL, PIRN_NEVER);
}

static int maps(void)
{
    return pirn_map(1, 0, call_nothing, NULL, NULL, PIRN_NEVER);
}

static int enters_a_timeout(void)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    return pirn_timeout_enter(&t, PIRN_NEVER);
}

static int defers(void)
{
    return pirn_defer(clean_nothing, NULL);
}

static int undefers(void)
{
    return pirn_undefer(clean_nothing, NULL);
}

static int blocks(void)
{
    return pirn_blocking(nothing, NULL, NULL, PIRN_NEVER);
}

static int asks_how_often(void)
{
    return pirn_cancelling(NULL);
}

static int lists(void)
{
    return pirn_tasks(NULL, 0);
}

static int leaves_a_value(void)
{
    return pirn_set_value(NULL, NULL);
}

static int sets_a_local(void)
{
    pirn_local key = {0};
    return pirn_local_set(key, NULL);
}

static int handles_a_signal(void)
{
    return pirn_signal_add(SIGUSR1, nothing, NULL, NULL);
}

static int makes_a_timer(void)
{
    pirn_timer timer;
    return pirn_timer_init(&timer, NULL, nothing, NULL);
}

static int counts(void)
{
    pirn_stats stats = {.size = sizeof(stats)};
    return pirn_stats_get(NULL, &stats);
}

static int dumps(void)
{
    return pirn_dump(NULL, stderr);
}

#define OVER "the scope is over, and can only be closed"

static const struct misuse misuses[] = {
    {"pirn_scope_close", -EDEADLK, "a child waits for its own scope", closed_by_a_child,
     IN_COROUTINE},
    {"pirn_scope_wait", -EDEADLK, "a child waits for its own scope", waited_for_by_a_child,
     IN_COROUTINE},
    {"pirn_scope_fail", -EPERM, "only who opened the scope is its body: a child returns its error",
     failed_by_a_child, IN_COROUTINE},
    {"pirn_scope_close", -EPERM, "only who opened the scope waits for it and closes it",
     closed_by_another, IN_COROUTINE},
    {"pirn_scope_close", -EINVAL, "a scope or timeout that was opened inside it is still open",
     closed_in_the_wrong_order, IN_COROUTINE},
    {"pirn_scope_wait", -EINVAL, OVER, waited_for_twice, IN_COROUTINE},
    {"pirn_scope_spawn", -EINVAL, OVER, spawned_into_when_over, IN_COROUTINE},
    {"pirn_scope_fail", -EINVAL, OVER, failed_when_over, IN_COROUTINE},
    {"pirn_generator_next", -EDEADLK, "a generator pulls from itself", pulled_by_its_body,
     IN_COROUTINE},
    {"pirn_generator_close", -EDEADLK, "a generator closes itself: it returns", closed_by_its_body,
     IN_COROUTINE},
    {"pirn_generator_yield", -EPERM, "only the generator's own function yields its values",
     yield_for_another, IN_COROUTINE},
    {"pirn_detach", -EPERM, "nobody has a reference to the task: it has been detached already",
     detach_what_nobody_has, IN_COROUTINE},
    {"pirn_runtime_run_forever", -EDEADLK,
     "a coroutine cannot wait for a runtime: a plain thread does it", run_another, IN_COROUTINE},
    {"pirn_runtime_close", -EDEADLK,
     "a coroutine cannot wait for a runtime: a plain thread does it", close_another, IN_COROUTINE},
    {"pirn_channel_clone", -EPERM, "the handle has never had that side", clone_what_it_has_not,
     ANYWHERE},
    {"pirn_spawn", -EPERM, NO_RUNTIME, spawns, ON_THREAD},
    {"pirn_call_soon", -EPERM, NO_RUNTIME, calls_soon, ON_THREAD},
    {"pirn_call_at", -EPERM, NO_RUNTIME, calls_at, ON_THREAD},
    {"pirn_coroutine_new", -EPERM, NO_RUNTIME, makes_a_coroutine, ON_THREAD},
    {"pirn_add_done_callback", -EPERM, NO_RUNTIME, adds_a_callback, ON_THREAD},
    {"pirn_with_timeout", -EPERM, NO_COROUTINE, runs_in_time, ON_THREAD},
    {"pirn_stream_read_line", -EPERM, NO_COROUTINE, reads_a_line, ON_THREAD},
    {"pirn_stream_writev", -EPERM, NO_COROUTINE, writes_a_vector, ON_THREAD},
    {"pirn_stream_drain", -EPERM, NO_COROUTINE, drains, ON_THREAD},
    {"pirn_server_new", -EPERM, NO_COROUTINE, makes_a_server, ON_THREAD},
    {"pirn_generator_new", -EPERM, NO_RUNTIME, makes_a_generator, ON_THREAD},
    {"pirn_scope_open", -EPERM, NO_COROUTINE, opens_a_scope, ON_THREAD},
    {"pirn_parallel_for", -EPERM, NO_COROUTINE, loops, ON_THREAD},
    {"pirn_race", -EPERM, NO_COROUTINE, races, ON_THREAD},
    {"pirn_map", -EPERM, NO_COROUTINE, maps, ON_THREAD},
    {"pirn_timeout_enter", -EPERM, NO_COROUTINE, enters_a_timeout, ON_THREAD},
    {"pirn_defer", -EPERM, NO_COROUTINE, defers, ON_THREAD},
    {"pirn_undefer", -EPERM, NO_COROUTINE, undefers, ON_THREAD},
    {"pirn_blocking", -EPERM, "there is no coroutine here: a plain thread may just call fn", blocks,
     ON_THREAD},
    {"pirn_yield", -EPERM, NO_COROUTINE, pirn_yield, ON_THREAD},
    {"pirn_shield_enter", -EPERM, NO_COROUTINE, pirn_shield_enter, ON_THREAD},
    {"pirn_cancelling", -EPERM, NO_COROUTINE, asks_how_often, ON_THREAD},
    {"pirn_uncancel", -EPERM, NO_COROUTINE, pirn_uncancel, ON_THREAD},
    {"pirn_tasks", -EPERM, NO_COROUTINE, lists, ON_THREAD},
    {"pirn_set_value", -EPERM, "this is neither a coroutine nor a job", leaves_a_value, ON_THREAD},
    {"pirn_local_set", -EPERM, "this is neither a coroutine nor a job", sets_a_local, ON_THREAD},
    {"pirn_signal_add", -EPERM, NO_RUNTIME, handles_a_signal, ON_THREAD},
    {"pirn_timer_init", -EPERM, NO_RUNTIME, makes_a_timer, ON_THREAD},
    {"pirn_stats_get", -EPERM, NO_RUNTIME, counts, ON_THREAD},
    {"pirn_dump", -EPERM, NO_RUNTIME, dumps, ON_THREAD},
};

START_TEST(a106_a174_and_others_each_misuse_is_named)
{
    misuse_in_coroutines(misuses, sizeof(misuses) / sizeof(misuses[0]));
}
END_TEST

START_TEST(a106_a174_and_others_on_plain_threads)
{
    misuse_on_threads(misuses, sizeof(misuses) / sizeof(misuses[0]));
}
END_TEST

SUPPORT_MAIN("misuse_place", a106_a174_and_others_each_misuse_is_named,
             a106_a174_and_others_on_plain_threads)
