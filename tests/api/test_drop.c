/*
 * An arg_drop that must not wait, and tries to: where its task never began it mostly runs between
 * coroutines. (A task may be cancelled just when it has got its stack, which it then runs on.)
 * What need not wait goes well there, what would have to returns -EPERM.
 */
#include "tests/support.h"

#include <poll.h>

enum {
    BEGAN = 1,
    CALLS = 20000 /* more than a worker lets pass before it would have the caller give way */
};

struct drop {
    pirn_mutex held, free;
    pirn_event event;
    pirn_channel *channel;
    pirn_future *future;
    pirn_task *child; /* not begun yet */
    int pipe[2], spare[2];
    atomic_int dropped;
    bool tried; /* before dropped */
};

static int begins(void *arg)
{
    (void)arg;
    return BEGAN;
}

static int awaits(void *arg)
{
    const struct drop *d = arg;
    return pirn_await(d->future, NULL, PIRN_NEVER);
}

static void needs_to_wait(struct drop *d)
{
    char c = 0;
    int word = 2;
    CHECK_EQ(pirn_sleep(pirn_after_ms(1000000)), -EPERM);
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_sleep_on(PIRN_CLOCK_WALL, PIRN_NEVER), -EPERM);
    CHECK_EQ(pirn_yield(), -EPERM);
    for (int i = 0; i < 2; i++) {
        pirn_time deadline = i == 0 ? PIRN_NEVER : pirn_after_ms(1000000);
        CHECK_EQ(pirn_mutex_lock(&d->held, deadline), -EPERM);
        CHECK_EQ(pirn_event_wait(&d->event, deadline), -EPERM);
        CHECK_EQ(pirn_channel_send(d->channel, &word, deadline), -EPERM);
        CHECK_EQ(pirn_await(d->future, NULL, deadline), -EPERM);
        CHECK_EQ(pirn_poll(d->pipe[0], POLLIN, deadline), -EPERM);
        CHECK_EQ(pirn_read(d->pipe[0], &c, 1, deadline), -EPERM);
        CHECK_EQ(pirn_await(d->child, NULL, deadline), -EPERM);
    }
}

static void need_not_wait(struct drop *d)
{
    char c = 'x';
    int word = 0;
    for (int i = 0; i < CALLS; i++) {
        CHECK_OK(pirn_mutex_lock(&d->free, PIRN_NEVER));
        CHECK_OK(pirn_mutex_unlock(&d->free));
    }
    CHECK_OK(pirn_sleep(PIRN_NOW));
    CHECK_EQ(pirn_mutex_lock(&d->held, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_poll(d->pipe[0], POLLIN, PIRN_NOW), -ETIMEDOUT);
    support_blocking_begin(); /* as on a plain thread, once the pipe is ready */
    CHECK_EQ(pirn_write(d->spare[1], &c, 1, PIRN_NEVER), 1);
    CHECK_EQ(pirn_read(d->spare[0], &c, 1, PIRN_NEVER), 1);
    support_blocking_end();
    CHECK_EQ(pirn_channel_recv(d->channel, &word, PIRN_NEVER), 1);
    CHECK_EQ(word, 1);
    CHECK_OK(pirn_channel_send(d->channel, &word, PIRN_NEVER));
    CHECK_OK(pirn_close(d->spare[0]));
    CHECK_OK(pirn_close(d->spare[1]));
}

static void tries_to_wait(void *arg)
{
    struct drop *d = arg;
    if (pirn_current() == NULL) {
        needs_to_wait(d);
        need_not_wait(d);
        d->tried = true;
    }
    atomic_store(&d->dropped, 1);
}

/* True: it was dropped between coroutines. */
static bool cancel_before_it_begins(struct drop *d)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    support_pipe(d->spare);
    d->dropped = 0;
    d->tried = false;
    config.arg_drop = tries_to_wait;
    CHECK_OK(pirn_future_new(&d->future));
    CHECK_OK(pirn_coroutine_new(&d->child, NULL, awaits, d));
    CHECK_OK(pirn_spawn_with(&task, &config, begins, d));
    int rc = pirn_cancel(task, NULL), status;
    CHECK(rc == 0 || rc == -EALREADY); /* stolen, and through */
    while (!atomic_load(&d->dropped))
        CHECK_OK(pirn_yield()); /* not by a join, in which it would run in place */
    if (!d->tried) {
        close(d->spare[0]);
        close(d->spare[1]);
    }
    CHECK_OK(pirn_join(task, &status, PIRN_NEVER));
    CHECK(status == -ECANCELED || (status == BEGAN && !d->tried));
    CHECK(status == BEGAN || rc == 0);
    CHECK_OK(pirn_future_set(d->future, 0, NULL));
    CHECK_OK(support_join(d->child));
    pirn_release(d->future);
    return d->tried;
}

static int cancels(void *arg)
{
    struct drop d = {0};
    int word = 1;
    (void)arg;
    CHECK_OK(pirn_mutex_init(&d.held));
    CHECK_OK(pirn_mutex_init(&d.free));
    CHECK_OK(pirn_event_init(&d.event));
    CHECK_OK(pirn_channel_new(&d.channel, sizeof(int), 1, NULL));
    support_pipe(d.pipe);
    CHECK_OK(pirn_mutex_lock(&d.held, PIRN_NEVER));
    CHECK_OK(pirn_channel_send(d.channel, &word, PIRN_NEVER));
    while (!cancel_before_it_begins(&d)) {}
    CHECK_OK(pirn_mutex_unlock(&d.held));
    close(d.pipe[0]);
    close(d.pipe[1]);
    pirn_channel_release(d.channel);
    return 0;
}

SUPPORT_EACH(a_drop_between_coroutines_cannot_wait, cancels, 20)

SUPPORT_MAIN("drop", a_drop_between_coroutines_cannot_wait)
