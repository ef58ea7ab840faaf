/*
 * Thread pools: what a job sees and does, and what pools are for.
 */
#include "tests/asyncio/thread_jobs.h"

/* ---- A173: task-locals ----------------------------------------------------------------------- */

static pirn_local key, other;
static char of_task, of_job, later;

static int sees_locals_of_job(void *arg)
{
    (void)arg;
    CHECK(pirn_local_get(key) == &of_job);
    CHECK(pirn_local_get(other) == &later);
    return 0;
}

static int sees_locals(void *arg)
{
    CHECK(pirn_local_get(key) == &of_task);
    CHECK(pirn_local_get(other) == NULL);
    CHECK_OK(pirn_local_set(key, &of_job));
    CHECK_OK(pirn_local_set(other, &later));
    CHECK_EQ(pirn_local_set((pirn_local){32}, &of_job), -EINVAL);
    /* Copied on from here: to a job, and to a task. */
    CHECK_OK(pirn_join(submit(NULL, sees_locals_of_job, NULL), NULL, PIRN_NEVER));
    if (arg != NULL) {
        pirn_spawn_config there = PIRN_SPAWN_CONFIG_INIT;
        pirn_task *task;
        there.runtime = arg;
        CHECK_OK(pirn_spawn_with(&task, &there, sees_locals_of_job, NULL));
        CHECK_OK(support_join(task));
    }
    return 0;
}

static int sees_none(void *arg)
{
    (void)arg;
    CHECK(pirn_local_get(key) == NULL);
    CHECK_OK(pirn_local_set(key, &of_job));
    CHECK(pirn_local_get(key) == &of_job);
    return 0;
}

static int locals(void *arg)
{
    pirn_runtime *rt = pirn_runtime_current();
    struct held h = {0};
    pirn_thread_pool *pool = new_pool(1);
    (void)arg;
    CHECK_OK(pirn_join(submit(pool, sees_none, NULL), NULL, PIRN_NEVER));
    CHECK_OK(pirn_join(submit(pool, sees_none, NULL), NULL, PIRN_NEVER)); /* nor what one left */
    pirn_job *holder = submit(pool, hold, &h);
    CHECK_OK(pirn_local_set(key, &of_task));
    pirn_job *job = submit(pool, sees_locals, rt);
    CHECK_OK(pirn_local_set(other, &of_task)); /* too late for that job */
    atomic_store(&h.release, 1);
    CHECK_OK(pirn_join(holder, NULL, PIRN_NEVER));
    CHECK_OK(pirn_join(job, NULL, PIRN_NEVER));
    CHECK(pirn_local_get(key) == &of_task);
    CHECK(pirn_local_get(other) == &of_task);
    CHECK_OK(pirn_local_set(other, NULL));
    CHECK_OK(pirn_to_thread(sees_locals, rt, NULL, PIRN_NEVER));
    CHECK_OK(pirn_blocking(sees_locals, rt, NULL, PIRN_NEVER));
    CHECK(pirn_local_get(key) == &of_task);
    return pirn_thread_pool_close(pool, PIRN_NEVER);
}

START_TEST(a173_locals_in_jobs)
{
    CHECK_OK(pirn_local_new(&key));
    CHECK_OK(pirn_local_new(&other));
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, locals, NULL));
    CHECK_EQ(pirn_local_set(key, &of_task), -EPERM);
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
}
END_TEST

/* ---- Done callbacks, of a job as of anything ------------------------------------------------- */

static void on_done(pirn_awaitable *job, void *user)
{
    CHECK_EQ(pirn_on_worker(), 1);
    CHECK_EQ(pirn_status(job), 6);
    atomic_fetch_add((atomic_int *)user, 1);
}

static int callbacks(void *arg)
{
    struct held h = {.result = 6};
    atomic_int heard = 0;
    pirn_job *job = submit(arg, hold, &h);
    CHECK_OK(pirn_add_done_callback(job, NULL, on_done, &heard));
    CHECK_OK(pirn_yield());
    CHECK_EQ(heard, 0);
    atomic_store(&h.release, 1);
    CHECK_OK(pirn_join(job, NULL, PIRN_NEVER));
    support_until(&heard, 1);
    job = submit(arg, hold, &h); /* nobody keeps it but the pool and the callback */
    CHECK_OK(pirn_add_done_callback(job, NULL, on_done, &heard));
    CHECK_OK(pirn_release(job));
    support_until(&heard, 2);
    CHECK_OK(pirn_thread_pool_submit(arg, NULL, hold, &h));
    support_until(&h.value_dropped, 3); /* the last thing that is done with it */
    CHECK_EQ(h.ended, 3);
    return 0;
}

START_TEST(a49_jobs_have_done_callbacks)
{
    FOR_WORKERS(w)
    {
        pirn_thread_pool *pool = new_pool(1);
        CHECK_OK(support_run(w, callbacks, pool));
        CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
    }
}
END_TEST

/* ---- S115, S170: three downloads by blocking calls take three threads, by pirn's none -------- */

enum {
    DOWNLOADS = 3,
    BYTES = 10000
};

/* Serves nobody before everybody is there. */
static void *serve(void *arg)
{
    int fds[DOWNLOADS];
    char page[BYTES];
    memset(page, 'x', sizeof(page));
    for (int i = 0; i < DOWNLOADS; i++) {
        fds[i] = accept(*(int *)arg, NULL, NULL);
        CHECK_GE(fds[i], 0);
    }
    for (int i = 0; i < DOWNLOADS; i++) {
        support_send_all(fds[i], page, sizeof(page));
        CHECK_OK(close(fds[i]));
    }
    return NULL;
}

struct download {
    struct sockaddr_in *addr;
    atomic_int *connected;
    int got;
};

static int blocking_download(void *arg)
{
    struct download *d = arg;
    char buf[4096];
    ssize_t n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(connect(fd, (struct sockaddr *)d->addr, sizeof(*d->addr)));
    atomic_fetch_add(d->connected, 1);
    while ((n = read(fd, buf, sizeof(buf))) > 0)
        d->got += (int)n;
    CHECK_OK(close(fd));
    return d->got;
}

static int native_download(void *arg)
{
    struct download *d = arg;
    char buf[4096];
    ssize_t n;
    int fd = support_socket();
    CHECK_OK(pirn_connect(fd, (struct sockaddr *)d->addr, sizeof(*d->addr), PIRN_NEVER));
    atomic_fetch_add(d->connected, 1);
    while ((n = pirn_recv(fd, buf, sizeof(buf), 0, PIRN_NEVER)) > 0)
        d->got += (int)n;
    CHECK_OK(pirn_close(fd));
    return d->got;
}

static int download(void *arg)
{
    pirn_thread_pool *pool = new_pool(0);
    int listener = *(int *)arg;
    no_pool_threads();
    for (int native = 0; native < 2; native++) {
        struct sockaddr_in addr;
        socklen_t len = sizeof(addr);
        atomic_int connected = 0;
        struct download d[DOWNLOADS];
        pirn_awaitable *all[DOWNLOADS];
        CHECK_OK(getsockname(listener, (struct sockaddr *)&addr, &len));
        pthread_t thread = support_thread(serve, &listener);
        for (int i = 0; i < DOWNLOADS; i++) {
            d[i] = (struct download){&addr, &connected, 0};
            all[i] = native ? support_spawn(native_download, &d[i])
                            : submit(pool, blocking_download, &d[i]);
        }
        support_until(&connected, DOWNLOADS);
        CHECK_EQ(pool_threads(), native ? 0 : DOWNLOADS);
        for (int i = 0; i < DOWNLOADS; i++) {
            int status = 0;
            CHECK_OK(pirn_join(all[i], &status, PIRN_NEVER));
            CHECK_EQ(status, BYTES);
        }
        support_thread_join(thread);
        if (!native)
            CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
        no_pool_threads();
    }
    return 0;
}

START_TEST(s115_s170_downloads)
{
    FOR_WORKERS(w)
    {
        struct sockaddr_in addr;
        int listener = support_listen(&addr, DOWNLOADS);
        CHECK_OK(support_run(w, download, &listener));
        CHECK_OK(close(listener));
    }
}
END_TEST

/* ---- S235, S267: one function by the default pool, one's own, and a process pool ------------- */

static pid_t ran_in;

static int slow(void *arg)
{
    (void)arg;
    support_pause_ms(5);
    ran_in = getpid();
    return 42;
}

static int slow_elsewhere(const void *in, size_t in_len, void *out, size_t out_cap,
                          size_t *ret_out_len)
{
    (void)in, (void)in_len, (void)out_cap;
    int status = slow(NULL);
    memcpy(out, &ran_in, sizeof(ran_in));
    *ret_out_len = sizeof(ran_in);
    return status;
}

static int by_three_pools(void *arg)
{
    pirn_thread_pool *threads = new_pool(2);
    pirn_process_pool *processes;
    pid_t pid = 0;
    int status = 0;
    (void)arg;
    CHECK_OK(pirn_process_pool_new(&processes, 1));
    int64_t start = support_now();
    ran_in = 0;
    CHECK_OK(pirn_to_thread(slow, NULL, &status, PIRN_NEVER));
    CHECK_EQ(status, 42);
    CHECK_EQ(ran_in, getpid());
    ran_in = 0;
    CHECK_OK(pirn_join(submit(threads, slow, NULL), &status, PIRN_NEVER));
    CHECK_EQ(status, 42);
    CHECK_EQ(ran_in, getpid());
    ran_in = 0;
    CHECK_OK(pirn_process_call(processes, slow_elsewhere, NULL, 0, &pid, sizeof(pid), NULL, &status,
                               PIRN_NEVER));
    CHECK_EQ(status, 42);
    CHECK(pid > 0 && pid != getpid());
    CHECK_EQ(ran_in, 0); /* not here */
    CHECK_GE(support_now() - start, 15 * MS);
    CHECK_OK(pirn_thread_pool_close(threads, PIRN_NEVER));
    return pirn_process_pool_close(processes, PIRN_NEVER);
}

START_TEST(s235_s267_three_pools)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, by_three_pools, NULL));
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
}
END_TEST

/* ---- S79, S88, S113: with other awaitables --------------------------------------------------- */

static int sleeper(void *arg)
{
    CHECK_OK(pirn_sleep(pirn_after_us(200)));
    return *(int *)arg;
}

static int wait_for_ten(void)
{
    enum {
        N = 10
    };
    pirn_thread_pool *pool = new_pool(2);
    struct held h = {.result = 3};
    pirn_job *jobs[N];
    bool done[N];
    size_t count = 99;
    for (int i = 0; i < N; i++)
        jobs[i] = submit(pool, hold, &h);
    support_until(&h.begun, 2);
    CHECK_OK(pirn_wait(jobs, N, PIRN_ALL_COMPLETED, done, &count, pirn_after_us(100)));
    CHECK_EQ(count, 0);
    CHECK_OK(pirn_cancel(jobs[9], NULL));
    CHECK_OK(pirn_wait(jobs, N, PIRN_FIRST_COMPLETED, done, &count, PIRN_NEVER));
    CHECK_EQ(count, 1);
    CHECK(done[9] && !done[8]);
    atomic_store(&h.release, 1);
    CHECK_OK(pirn_wait(jobs, N, PIRN_ALL_COMPLETED, done, &count, PIRN_NEVER));
    CHECK_EQ(count, N);
    for (int i = 0; i < N; i++)
        CHECK_OK(pirn_release(jobs[i]));
    return pirn_thread_pool_close(pool, PIRN_NEVER);
}

static int with_others(void *arg)
{
    pirn_thread_pool *threads = new_pool(1);
    pirn_process_pool *processes;
    struct held h = {.release = 1, .result = 1}, held = {.result = 4};
    int two = 2, status = 0;
    pirn_awaitable *items[3], *all, *outer;
    (void)arg;
    CHECK_OK(wait_for_ten());
    CHECK_OK(pirn_process_pool_new(&processes, 1));
    items[0] = submit(threads, hold, &h);
    items[1] = support_spawn(sleeper, &two);
    CHECK_OK(pirn_process_submit(processes, &items[2], slow_elsewhere, NULL, 0, sizeof(pid_t)));
    CHECK_OK(pirn_gather(&all, items, 3, 0));
    CHECK_OK(pirn_join(all, &status, PIRN_NEVER));
    CHECK_OK(status);
    CHECK_EQ(pirn_status(items[0]), 1); /* by their places */
    CHECK_EQ(pirn_status(items[1]), 2);
    CHECK_EQ(pirn_status(items[2]), 42);
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_release(items[i]));
    /* Cancelled together; one that runs is left behind. */
    items[0] = submit(threads, hold, &held);
    items[1] = submit(threads, hold, &h);
    support_until(&held.begun, 1);
    CHECK_OK(pirn_gather(&all, items, 2, 0));
    CHECK_OK(pirn_shield(&outer, items[0]));
    CHECK_OK(pirn_cancel(outer, NULL));
    CHECK_EQ(pirn_status(items[0]), -EINPROGRESS); /* shielded */
    CHECK_OK(pirn_cancel(all, NULL));
    CHECK_OK(pirn_join(all, &status, PIRN_NEVER));
    CHECK_EQ(status, -ECANCELED);
    CHECK_EQ(pirn_status(items[0]), -ECANCELED);
    CHECK_EQ(pirn_status(items[1]), -ECANCELED);
    items[2] = submit(threads, hold, &h);
    CHECK_EQ(pirn_wait_for(items[2], &status, pirn_after_ms(1)), -ETIMEDOUT); /* takes it along */
    CHECK_EQ(pirn_status(items[2]), -ECANCELED);
    CHECK_EQ(h.begun, 1); /* of the two that were queued none ran */
    atomic_store(&held.release, 1);
    for (int i = 0; i < 3; i++)
        CHECK_OK(pirn_release(items[i]));
    CHECK_OK(pirn_release(outer));
    CHECK_OK(pirn_thread_pool_close(threads, PIRN_NEVER));
    CHECK_EQ(held.ended, 1);
    CHECK_EQ(held.value_dropped, 1);
    return pirn_process_pool_close(processes, PIRN_NEVER);
}

START_TEST(s79_s88_s113_with_others)
{
    for (int i = 0; i < support_rounds(5); i++) {
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, with_others, NULL));
    }
}
END_TEST

int main(void)
{
    CHECK_OK(pirn_process_helper_start());
    const TTest *tests[] = {a173_locals_in_jobs, a49_jobs_have_done_callbacks, s115_s170_downloads,
                            s235_s267_three_pools, s79_s88_s113_with_others};
    return support_main("pool_inside", tests, sizeof(tests) / sizeof(tests[0]));
}
