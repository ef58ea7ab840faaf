/*
 * The helper of process pools, and what may become of it: a program that gives up its privileges.
 */
#include "tests/asyncio/process_jobs.h"
#include "tests/process/scenario.h"

static void reset_page(void)
{
    atomic_store(&page->begun, 0);
    atomic_store(&page->release, 0);
    for (int i = 0; i < 4; i++)
        atomic_store(&page->pids[i], 0);
}

/* fn(NULL) on a plain thread and in coroutines. */
static void everywhere(pirn_fn fn)
{
    CHECK_OK(fn(NULL));
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, fn, NULL));
}

/* ---- Privileges that the program has given up ------------------------------------------- */

static int closed_by_force(void *arg)
{
    const int number = 1;
    int status = 0;
    pirn_job *job;
    (void)arg;
    reset_page();
    pirn_process_pool *pool = new_pool(2);
    CHECK_OK(pirn_process_submit(pool, &job, hold, &number, sizeof(number), 0));
    support_until(&page->pids[0], 1);
    pid_t worker = atomic_load(&page->pids[0]);
    CHECK_EQ(kill(worker, SIGKILL), -1); /* this program may not */
    CHECK_EQ(pirn_process_pool_close(pool, PIRN_NOW), -ETIMEDOUT);
    CHECK(is_gone(worker));
    CHECK_OK(pirn_await(job, &status, PIRN_NEVER));
    CHECK_EQ(status, -EPIPE);
    return pirn_release(job);
}

static int less_than_its_workers(void *arg)
{
    (void)arg;
    if (geteuid() != 0)
        return SKIPPED;
    CHECK_OK(pirn_process_helper_start());
    drop_privileges();
    everywhere(closed_by_force);
    return 0;
}

int main(void)
{
    if (TSAN)
        return SKIPPED; /* it has a thread of its own in the children, where a helper is started */
    make_page();
    scenario("less_than_its_workers", less_than_its_workers, NULL, 60);
    return 0;
}
