/* Task-locals and thread-locals: copied at spawn, kept over migration; pinned tasks. */
#include "tests/support.h"

#include <sys/syscall.h>

static pirn_local key, other;

static int child_of(void *arg)
{
    CHECK(pirn_local_get(key) == arg); /* the parent's at the time of the spawn */
    CHECK(pirn_local_get(other) == NULL);
    int mine;
    CHECK_OK(pirn_local_set(key, &mine)); /* unseen by the parent */
    for (int i = 0; i < support_rounds(300); i++) {
        CHECK_OK(i % 20 ? pirn_yield() : pirn_sleep(pirn_after_us(20)));
        CHECK(pirn_local_get(key) == &mine);
    }
    CHECK_OK(pirn_local_set(key, NULL));
    CHECK(pirn_local_get(key) == NULL);
    return 0;
}

static int parent(void *arg)
{
    enum {
        N = 20
    };
    (void)arg;
    pirn_task *tasks[N];
    int values[N];
    CHECK(pirn_local_get(key) == NULL);
    for (int i = 0; i < N; i++) {
        CHECK_OK(pirn_local_set(key, &values[i]));
        tasks[i] = support_spawn(child_of, &values[i]);
    }
    CHECK_OK(pirn_local_set(other, tasks));
    for (int i = 0; i < N; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK(pirn_local_get(key) == &values[N - 1]);
    CHECK(pirn_local_get(other) == tasks);
    return 0;
}

static void *on_thread(void *arg)
{
    CHECK(pirn_local_get(key) == NULL);
    CHECK_EQ(pirn_local_set(key, arg), -EPERM);
    return NULL;
}

START_TEST(copied_at_spawn)
{
    CHECK_OK(pirn_local_new(&key));
    CHECK_OK(pirn_local_new(&other));
    CHECK(key.index != other.index);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, parent, NULL));
    support_thread_join(support_thread(on_thread, &key));
}
END_TEST

/* ---- Pinned: one thread for the whole life ----------------------------------------------- */

static _Thread_local int thread_value;

/* Its address must be asked for anew after each suspension. */
static __attribute__((noinline)) int *address_of_thread_value(void)
{
    __asm__ volatile("");
    return &thread_value;
}

static int pinned(void *arg)
{
    long tid = syscall(SYS_gettid);
    int value = (int)(intptr_t)arg, fds[2];
    *address_of_thread_value() = value;
    support_pair(fds);
    for (int i = 0; i < support_rounds(200); i++) {
        char c = 'p';
        CHECK_OK(i % 20 ? pirn_yield() : pirn_sleep(pirn_after_us(100)));
        CHECK_EQ(pirn_recv(fds[0], &c, 1, 0, pirn_after_us(i % 3)), -ETIMEDOUT);
        CHECK_EQ(syscall(SYS_gettid), tid);
        CHECK_EQ(*address_of_thread_value(), value);
    }
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    return value;
}

static int pinned_ones(void *arg)
{
    (void)arg;
    enum {
        N = 5
    };
    pirn_task *tasks[N];
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.flags = PIRN_PINNED;
    for (int i = 0; i < N; i++)
        CHECK_OK(pirn_spawn_with(&tasks[i], &config, pinned, (void *)(intptr_t)(i + 1)));
    for (int i = 0; i < N; i++)
        CHECK_EQ(support_join(tasks[i]), i + 1);
    return 0;
}

START_TEST(pinned_keeps_its_thread)
{
    CHECK_OK(support_run(1, pinned_ones, NULL)); /* what is made once is made now */
    support_census before = support_count();
    for (int i = 0; i < support_rounds(10); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, pinned_ones, NULL));
    support_no_more_than(before);
}
END_TEST

static int pinned_sleeper(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return pirn_sleep(PIRN_NEVER);
}

static int pinned_cancelled(void *arg)
{
    (void)arg;
    atomic_int began = 0;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.flags = PIRN_PINNED;
    pirn_task *awaited, *left;
    CHECK_OK(pirn_spawn_with(&awaited, &config, pinned_sleeper, &began));
    CHECK_OK(pirn_spawn_with(&left, &config, pinned_sleeper, &began));
    support_until(&began, 2);
    CHECK_OK(pirn_cancel(awaited, NULL));
    CHECK_EQ(support_join(awaited), -ECANCELED);
    CHECK_OK(pirn_detach(left)); /* shutdown cancels it; its frame is ours no longer */
    return 0;
}

START_TEST(pinned_ends_when_cancelled)
{
    for (int i = 0; i < support_rounds(20); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, pinned_cancelled, NULL));
}
END_TEST

/* ---- At most 32 keys, for the whole process; last, for it uses them up ------------------- */

static int all_keys(void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++) {
        CHECK_OK(pirn_local_set((pirn_local){(unsigned)i}, &((char *)arg)[i]));
        CHECK_OK(pirn_yield());
    }
    for (int i = 0; i < n; i++)
        CHECK(pirn_local_get((pirn_local){(unsigned)i}) == &((char *)arg)[i]);
    return 0;
}

START_TEST(at_most_32)
{
    pirn_local more;
    int n = 2; /* made above */
    while (pirn_local_new(&more) == 0) {
        CHECK(more.index < 32);
        n++;
    }
    CHECK_EQ(n, 32);
    CHECK_EQ(pirn_local_new(&more), -EAGAIN);
    CHECK_OK(support_run(2, all_keys, &n));
}
END_TEST

SUPPORT_MAIN("local", copied_at_spawn, pinned_keeps_its_thread, pinned_ends_when_cancelled,
             at_most_32)
