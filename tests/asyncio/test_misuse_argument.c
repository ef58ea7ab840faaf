/* Arguments that cannot be meant: NULL where something has to be given, a config that is zeroed
 * instead of made by its _INIT, an item for what holds none; and which call it was, of those that
 * share their code. */
#include "tests/asyncio/misuse.h"

#define ZEROED "the config's size is 0: it begins with its _INIT"
#define NO_FN "fn is NULL"
#define NO_ITEM "the item is NULL"
#define NO_SIZE "the item is not NULL, but elem_size is 0: none is copied"

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int values(pirn_generator *generator, void *arg)
{
    (void)generator, (void)arg;
    return 0;
}

static int handle(pirn_stream *stream, void *user)
{
    (void)stream, (void)user;
    return 0;
}

/* ---- Configs ------------------------------------------------------------------------------ */

static int run_zeroed(void)
{
    pirn_config config = {0};
    return pirn_run_with(&config, nothing, NULL, NULL);
}

static int runtime_zeroed(void)
{
    pirn_config config = {0};
    pirn_runtime *runtime;
    return pirn_runtime_new(&runtime, &config);
}

static int spawn_zeroed(void)
{
    pirn_spawn_config config = {0};
    return pirn_spawn_with(NULL, &config, nothing, NULL);
}

static int coroutine_zeroed(void)
{
    pirn_spawn_config config = {0};
    pirn_task *task;
    return pirn_coroutine_new(&task, &config, nothing, NULL);
}

static int scope_spawn_zeroed(void)
{
    pirn_spawn_config config = {0};
    pirn_scope *scope;
    CHECK_OK(pirn_scope_open(&scope, 0));
    int rc = pirn_scope_spawn_with(scope, &config, nothing, NULL, PIRN_NEVER);
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    return rc;
}

static int generator_zeroed(void)
{
    pirn_spawn_config config = {0};
    pirn_generator *generator;
    return pirn_generator_new_with(&generator, &config, 0, values, NULL);
}

static int queue_zeroed(void)
{
    pirn_queue_config config = {.elem_size = 1};
    pirn_queue *queue;
    return pirn_queue_new(&queue, &config);
}

static int stream_zeroed(void)
{
    pirn_stream_config config = {0};
    pirn_stream *stream;
    return pirn_stream_new(&stream, 0, &config);
}

static int server_zeroed(void)
{
    pirn_server_config config = {0};
    pirn_server *server;
    return pirn_server_new(&server, handle, NULL, &config);
}

static int listen_zeroed(void)
{
    pirn_listen_config config = {0};
    return pirn_listen(NULL, NULL, &config, PIRN_NEVER);
}

static int resolve_zeroed(void)
{
    pirn_resolve_config config = {0};
    pirn_address *list;
    return pirn_resolve("localhost", NULL, &config, &list, PIRN_NEVER);
}

static int connect_zeroed(void)
{
    pirn_connect_config config = {0};
    return pirn_connect_host("localhost", "1", &config, PIRN_NEVER);
}

static int process_zeroed(void)
{
    pirn_process_config config = {0};
    pirn_process *process;
    return pirn_process_shell(&process, "true", &config, PIRN_NEVER);
}

static int job_zeroed(void)
{
    pirn_job_config config = {0};
    return pirn_thread_pool_submit_with(NULL, NULL, &config, nothing, NULL);
}

static int flags_of_a_spawn(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.flags = 1u << 31;
    return pirn_spawn_with(NULL, &config, nothing, NULL);
}

static int pinned_on_a_strand(void)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_strand_new(&config.strand));
    int rc = pirn_spawn_with(NULL, &config, nothing, NULL);
    pirn_strand_release(config.strand);
    return rc;
}

static int key_without_an_order(void)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *queue;
    config.order = PIRN_QUEUE_PRIORITY;
    return pirn_queue_new(&queue, &config);
}

/* ---- NULL ---------------------------------------------------------------------------------- */

static int spawn_nothing(void)
{
    return pirn_spawn(NULL, NULL, NULL);
}

static int call_nothing_soon(void)
{
    return pirn_call_soon(NULL, NULL, NULL, NULL);
}

static int run_nothing(void)
{
    return pirn_run(NULL, NULL);
}

static int begin_without_a_handle(void)
{
    return pirn_coroutine_new(NULL, NULL, nothing, NULL);
}

static int await_nothing(void)
{
    return pirn_await(NULL, NULL, PIRN_NEVER);
}

static int join_nothing(void)
{
    return pirn_join(NULL, NULL, PIRN_NEVER);
}

static int await_no_future(void)
{
    return pirn_future_await(NULL, NULL, NULL, PIRN_NEVER);
}

static int set_nothing(void)
{
    return pirn_future_set_owned(NULL, 0, NULL, NULL);
}

static int cancel_nothing(void)
{
    return pirn_cancel(NULL, NULL);
}

static int lock_nothing(void)
{
    return pirn_mutex_lock(NULL, PIRN_NEVER);
}

static int try_to_read_nothing(void)
{
    return pirn_rwlock_try_read_lock(NULL);
}

static int signal_nothing(void)
{
    return pirn_condition_notify_all(NULL);
}

static int wait_for_no_pred(void)
{
    return pirn_condition_wait_for(NULL, nothing, NULL, PIRN_NEVER);
}

static int abort_nothing(void)
{
    return pirn_barrier_abort(NULL);
}

static int put_nowhere(void)
{
    return pirn_queue_put(NULL, "", PIRN_NEVER);
}

static int get_from_nowhere(void)
{
    char c;
    return pirn_queue_try_get(NULL, &c);
}

static int spawn_into_nothing(void)
{
    return pirn_scope_spawn(NULL, nothing, NULL, PIRN_NEVER);
}

static int close_nothing(void)
{
    return pirn_scope_close(NULL, PIRN_NEVER);
}

static int gather_one_of_nothing(void)
{
    pirn_awaitable *items[] = {NULL}, *all;
    return pirn_gather(&all, items, 1, 0);
}

static int race_of_nothing(void)
{
    pirn_call calls[] = {{nothing, NULL}, {NULL, NULL}};
    return pirn_race(calls, 2, NULL, NULL, NULL, PIRN_NEVER);
}

static int read_nothing(void)
{
    char c;
    return (int)pirn_stream_read(NULL, &c, 1, PIRN_NEVER);
}

static int write_nothing(void)
{
    return (int)pirn_stream_write(NULL, "", 1);
}

static int stop_nothing(void)
{
    return pirn_server_stop(NULL, PIRN_NEVER);
}

/* ---- Items that nothing is copied of -------------------------------------------------------- */

static pirn_queue *queue_of(size_t elem_size)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_queue *queue;
    config.elem_size = elem_size;
    CHECK_OK(pirn_queue_new(&queue, &config));
    return queue;
}

static int put_into_no_size(void)
{
    pirn_queue *queue = queue_of(0);
    int rc = pirn_queue_put(queue, "x", PIRN_NEVER);
    CHECK_EQ(pirn_queue_size(queue), 0);
    pirn_queue_release(queue);
    return rc;
}

static int try_to_put_into_no_size(void)
{
    pirn_queue *queue = queue_of(0);
    int rc = pirn_queue_try_put(queue, "x");
    CHECK_EQ(pirn_queue_size(queue), 0);
    pirn_queue_release(queue);
    return rc;
}

static int get_of_no_size(void)
{
    pirn_queue *queue = queue_of(0);
    char c;
    CHECK_OK(pirn_queue_put(queue, NULL, PIRN_NEVER)); /* that is what it is for */
    int rc = pirn_queue_get(queue, &c, PIRN_NEVER);
    CHECK_EQ(pirn_queue_size(queue), 1);
    CHECK_OK(pirn_queue_get(queue, NULL, PIRN_NEVER));
    pirn_queue_release(queue);
    return rc;
}

static int put_no_item(void)
{
    pirn_queue *queue = queue_of(1);
    int rc = pirn_queue_put(queue, NULL, PIRN_NEVER);
    pirn_queue_release(queue);
    return rc;
}

static int on_a_channel(size_t elem_size, int (*fn)(pirn_channel *channel))
{
    pirn_channel *channel;
    CHECK_OK(pirn_channel_new(&channel, elem_size, 1, NULL));
    int rc = fn(channel);
    CHECK_EQ(pirn_channel_size(channel), 0);
    pirn_channel_release(channel);
    return rc;
}

static int send_one(pirn_channel *channel)
{
    return pirn_channel_send(channel, "x", PIRN_NEVER);
}

static int send_of_no_size(void)
{
    return on_a_channel(0, send_one);
}

static int receive_one(pirn_channel *channel)
{
    return pirn_channel_try_recv(channel, NULL);
}

static int receive_into_nothing(void)
{
    return on_a_channel(1, receive_one);
}

static int select_one(pirn_channel *channel)
{
    pirn_case cases[] = {pirn_case_send(channel, "x")};
    return pirn_select(cases, 1, PIRN_NEVER);
}

static int select_of_no_size(void)
{
    return on_a_channel(0, select_one);
}

static int broadcast_of_no_size(void)
{
    pirn_broadcast *broadcast;
    CHECK_OK(pirn_broadcast_new(&broadcast, 0, 1));
    int rc = pirn_broadcast_send(broadcast, "x");
    pirn_broadcast_release(broadcast);
    return rc;
}

static int watch_of_no_size(void)
{
    pirn_watch *watch;
    return pirn_watch_new(&watch, 0, "x");
}

static int on_a_watch_of_no_size(bool waits)
{
    pirn_watch *watch;
    uint64_t version = 0;
    char value;
    CHECK_OK(pirn_watch_new(&watch, 0, NULL));
    int rc = waits ? pirn_watch_changed(watch, 0, &value, &version, PIRN_NEVER)
                   : pirn_watch_get(watch, &value, &version);
    CHECK_EQ(version, 0);
    pirn_watch_release(watch);
    return rc;
}

static int value_of_no_size(void)
{
    return on_a_watch_of_no_size(false);
}

static int change_of_no_size(void)
{
    return on_a_watch_of_no_size(true);
}

static const struct misuse misuses[] = {
    {"pirn_runtime_new", -EINVAL, ZEROED, runtime_zeroed, ANYWHERE},
    {"pirn_run_with", -EINVAL, ZEROED, run_zeroed, ON_THREAD},
    {"pirn_spawn_with", -EINVAL, ZEROED, spawn_zeroed, ANYWHERE},
    {"pirn_coroutine_new", -EINVAL, ZEROED, coroutine_zeroed, ANYWHERE},
    {"pirn_scope_spawn_with", -EINVAL, ZEROED, scope_spawn_zeroed, IN_COROUTINE},
    {"pirn_generator_new_with", -EINVAL, ZEROED, generator_zeroed, ANYWHERE},
    {"pirn_queue_new", -EINVAL, ZEROED, queue_zeroed, ANYWHERE},
    {"pirn_stream_new", -EINVAL, ZEROED, stream_zeroed, ANYWHERE},
    {"pirn_server_new", -EINVAL, ZEROED, server_zeroed, ANYWHERE},
    {"pirn_listen", -EINVAL, ZEROED, listen_zeroed, ANYWHERE},
    {"pirn_resolve", -EINVAL, ZEROED, resolve_zeroed, ANYWHERE},
    {"pirn_connect_host", -EINVAL, ZEROED, connect_zeroed, ANYWHERE},
    {"pirn_process_shell", -EINVAL, ZEROED, process_zeroed, ANYWHERE},
    {"pirn_thread_pool_submit_with", -EINVAL, ZEROED, job_zeroed, ANYWHERE},
    {"pirn_spawn_with", -EINVAL,
     "the config has a flag that does not fit, or a stack of more than 1 GiB", flags_of_a_spawn,
     ANYWHERE},
    {"pirn_spawn_with", -EINVAL,
     "the config has a flag that does not fit, or a stack of more than 1 GiB", pinned_on_a_strand,
     ANYWHERE},
    {"pirn_queue_new", -EINVAL,
     "the config has no such order or size, or a key without PIRN_QUEUE_PRIORITY, or that without "
     "a "
     "key",
     key_without_an_order, ANYWHERE},
    {"pirn_spawn", -EINVAL, NO_FN, spawn_nothing, ANYWHERE},
    {"pirn_call_soon", -EINVAL, NO_FN, call_nothing_soon, ANYWHERE},
    {"pirn_run", -EINVAL, NO_FN, run_nothing, ANYWHERE},
    {"pirn_coroutine_new", -EINVAL, "ret_task is NULL: nobody could begin it",
     begin_without_a_handle, ANYWHERE},
    {"pirn_await", -EINVAL, A_NULL, await_nothing, ANYWHERE},
    {"pirn_join", -EINVAL, A_NULL, join_nothing, ANYWHERE},
    {"pirn_future_await", -EINVAL, A_NULL, await_no_future, ANYWHERE},
    {"pirn_future_set_owned", -EINVAL, A_NULL, set_nothing, ANYWHERE},
    {"pirn_cancel", -EINVAL, A_NULL, cancel_nothing, ANYWHERE},
    {"pirn_mutex_lock", -EINVAL, A_NULL, lock_nothing, ANYWHERE},
    {"pirn_rwlock_try_read_lock", -EINVAL, A_NULL, try_to_read_nothing, ANYWHERE},
    {"pirn_condition_notify_all", -EINVAL, A_NULL, signal_nothing, ANYWHERE},
    {"pirn_condition_wait_for", -EINVAL, A_NULL, wait_for_no_pred, ANYWHERE},
    {"pirn_barrier_abort", -EINVAL, A_NULL, abort_nothing, ANYWHERE},
    {"pirn_queue_put", -EINVAL, A_NULL, put_nowhere, ANYWHERE},
    {"pirn_queue_try_get", -EINVAL, A_NULL, get_from_nowhere, ANYWHERE},
    {"pirn_scope_spawn", -EINVAL, A_NULL, spawn_into_nothing, ANYWHERE},
    {"pirn_scope_close", -EINVAL, A_NULL, close_nothing, ANYWHERE},
    {"pirn_gather", -EINVAL, "one of the items is NULL", gather_one_of_nothing, ANYWHERE},
    {"pirn_race", -EINVAL, "one of the calls' fn is NULL", race_of_nothing, ANYWHERE},
    {"pirn_stream_read", -EINVAL, A_NULL, read_nothing, ANYWHERE},
    {"pirn_stream_write", -EINVAL, A_NULL, write_nothing, ANYWHERE},
    {"pirn_server_stop", -EINVAL, A_NULL, stop_nothing, ANYWHERE},
    {"pirn_queue_put", -EINVAL, NO_SIZE, put_into_no_size, ANYWHERE},
    {"pirn_queue_try_put", -EINVAL, NO_SIZE, try_to_put_into_no_size, ANYWHERE},
    {"pirn_queue_get", -EINVAL, NO_SIZE, get_of_no_size, ANYWHERE},
    {"pirn_queue_put", -EINVAL, NO_ITEM, put_no_item, ANYWHERE},
    {"pirn_channel_send", -EINVAL, NO_SIZE, send_of_no_size, ANYWHERE},
    {"pirn_channel_try_recv", -EINVAL, NO_ITEM, receive_into_nothing, ANYWHERE},
    {"pirn_select", -EINVAL, NO_SIZE, select_of_no_size, ANYWHERE},
    {"pirn_broadcast_send", -EINVAL, NO_SIZE, broadcast_of_no_size, ANYWHERE},
    {"pirn_watch_new", -EINVAL, NO_SIZE, watch_of_no_size, ANYWHERE},
    {"pirn_watch_get", -EINVAL, NO_SIZE, value_of_no_size, ANYWHERE},
    {"pirn_watch_changed", -EINVAL, NO_SIZE, change_of_no_size, ANYWHERE},
};

START_TEST(arguments_that_cannot_be_meant_are_named)
{
    misuse_in_coroutines(misuses, sizeof(misuses) / sizeof(misuses[0]));
}
END_TEST

START_TEST(arguments_that_cannot_be_meant_on_plain_threads)
{
    misuse_on_threads(misuses, sizeof(misuses) / sizeof(misuses[0]));
}
END_TEST

SUPPORT_MAIN("misuse_argument", arguments_that_cannot_be_meant_are_named,
             arguments_that_cannot_be_meant_on_plain_threads)
