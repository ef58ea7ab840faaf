/* wraps pirn_wait_end */
/*
 * A timeout of a pinned task: its thread may notice by itself that its wait is over, before it is
 * woken, and the task end, and its descriptor be another's. So who has ended the wait for the
 * timeout, and has no reference, looks at the task no more.
 */
#include <signal.h>

#include "runtime/wait.h"
#include "tests/support.h"

static _Atomic(struct pirn_task *) watched;
static atomic_int tid, gone_on, looked;

void __real_pirn_wait_end(struct pirn_task *t, enum cancel_found found, uint32_t gen);
void __wrap_pirn_wait_end(struct pirn_task *t, enum cancel_found found, uint32_t gen);

void __wrap_pirn_wait_end(struct pirn_task *t, enum cancel_found found, uint32_t gen)
{
    if (found != CANCEL_WOKE || t != atomic_load(&watched)) {
        __real_pirn_wait_end(t, found, gen);
        return;
    }
    while (!atomic_load(&gone_on)) { /* a signal is one way to notice */
        tgkill(getpid(), atomic_load(&tid), SIGUSR1);
        support_pause_ms(1);
    }
    atomic_store(&looked, 1);
}

static void on_signal(int signal)
{
    (void)signal;
}

static int pinned(void *arg)
{
    (void)arg;
    pirn_timeout timeout = PIRN_TIMEOUT_INIT;
    atomic_store(&tid, gettid());
    atomic_store(&watched, (struct pirn_task *)(void *)pirn_current());
    CHECK_OK(pirn_timeout_enter(&timeout, pirn_after_ms(2)));
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&timeout, -ECANCELED), -ETIMEDOUT);
    atomic_store(&gone_on, 1);
    return 5;
}

static int times_out(void *arg)
{
    (void)arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    atomic_store(&gone_on, 0);
    config.flags = PIRN_PINNED;
    CHECK_OK(pirn_spawn_with(&task, &config, pinned, NULL));
    CHECK_EQ(support_join(task), 5);
    return 0;
}

START_TEST(a_timeout_looks_at_a_pinned_task_no_more)
{
    struct sigaction action = {.sa_handler = on_signal};
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    for (int i = 0; i < 5; i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, times_out, NULL));
    CHECK_EQ(atomic_load(&looked), 0);
}
END_TEST

SUPPORT_MAIN("timeout_pinned", a_timeout_looks_at_a_pinned_task_no_more)
