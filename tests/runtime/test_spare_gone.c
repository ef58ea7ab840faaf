/* wraps pirn_sys_futex_wait */
/* wraps pirn_port_wake */
/* wraps pirn_sys_pthread_create */
/*
 * A spare was stuck when the monitor last looked, is through, and its thread ends before the
 * monitor looks again (which needs a core for that). It is a spare like others then: nobody takes
 * it for stuck, and it is taken up again.
 *
 *   1. one task blocks the only worker. Another one has been woken: the sentinel runs it, and is
 *      blocked, too. The monitor sees that, and retires it
 *   2. that is where the monitor is held. The sentinel's task goes on, and ends; its thread ends
 *   3. the monitor looks again. There is a third task for it now, but no thread for a while: it
 *      calls it up again later, and nothing is left of others that there was no thread for
 *
 * And one that is called up again stays: it is not sent back by the same look, for having done
 * nothing before. And one that is not needed any more goes, however long all sleep.
 */
#include "tests/support.h"

#include <stddef.h>

#include "runtime/runtime.h"
#include "runtime/self.h"

int __real_pirn_sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout);
int __wrap_pirn_sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout);
void __real_pirn_port_wake(struct port *port);
void __wrap_pirn_port_wake(struct port *port);

int __real_pirn_sys_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
                                   void *(*fn)(void *), void *arg);
int __wrap_pirn_sys_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
                                   void *(*fn)(void *), void *arg);

enum {
    REFUSED = 6, /* threads: three looks, of an old spare and a new one each */
    CROWDS = 5,
    MOST_THREADS = 64, /* of those that are looked at */
    LOOKS = 4,
    TRIES = 20
};

static _Atomic(struct pirn_runtime *) runtime;
static _Atomic(const void *) monitor_word; /* NULL: the monitor is not to be held */
static _Atomic(struct worker *) gone;
static atomic_int blocked, looks, over;
static int first[2], second[2];
static pirn_event event, third;
static atomic_bool no_threads;
static atomic_int refused, ran;

/* The monitor's: spares' roles at its last look's end; which of them it has called up since. */
static enum role was[MOST_THREADS];
static bool called_up[MOST_THREADS];

static bool was_stuck(const struct worker *w)
{
    return worker_role(w) == ROLE_RETIRED && worker_stuck(w) != STUCK_NOT;
}

/* On the monitor's thread, between two looks. */
static void hold(struct worker *w)
{
    CHECK_EQ(write(second[1], "b", 1), 1);
    for (int i = 0; i < 20000 && worker_role(w) != ROLE_GONE; i++)
        usleep(1000);
    if (worker_role(w) == ROLE_GONE)
        atomic_store(&gone, w);
    atomic_store(&monitor_word, NULL);
    atomic_store(&looks, 0);
    atomic_store(&over, 1);
}

int __wrap_pirn_sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout)
{
    struct pirn_runtime *rt = atomic_load(&runtime);
    if (rt != NULL && word == &rt->monitor_word) {
        atomic_fetch_add(&looks, 1);
        for (unsigned i = rt->worker_count; i < rt_threads(rt) && i < MOST_THREADS; i++) {
            was[i] = worker_role(rt_worker(rt, i));
            called_up[i] = false;
        }
    }
    if (rt != NULL && word == atomic_load(&monitor_word)) {
        for (unsigned i = rt->worker_count; i < rt_threads(rt); i++) {
            if (was_stuck(rt_worker(rt, i)) && atomic_load(&blocked) == 2) {
                hold(rt_worker(rt, i));
                return 0;
            }
        }
    }
    return __real_pirn_sys_futex_wait(word, expected, timeout);
}

int __wrap_pirn_sys_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
                                   void *(*fn)(void *), void *arg)
{
    if (fn != pirn_worker_main || !atomic_load(&no_threads))
        return __real_pirn_sys_pthread_create(ret_thread, attr, fn, arg);
    atomic_fetch_add(&refused, 1);
    return -EAGAIN;
}

static int block(int fd)
{
    char byte;
    atomic_fetch_add(&blocked, 1);
    CHECK_EQ(support_read(fd, &byte, 1), 1);
    return 0;
}

static int woken(void *arg)
{
    (void)arg;
    CHECK_OK(pirn_event_wait(&event, PIRN_NEVER));
    atomic_store(&no_threads, true);
    return block(second[0]);
}

static int runs_meanwhile(void *arg)
{
    (void)arg;
    CHECK_OK(pirn_event_wait(&third, PIRN_NEVER));
    atomic_store(&ran, 1);
    return 0;
}

/* The worker is not let go before the scene is over, however that went. */
static void *direct(void *arg)
{
    support_until(&blocked, 1);
    CHECK_OK(pirn_event_set(&event));
    support_until(&over, 1);
    CHECK_OK(pirn_event_set(&third));
    while (atomic_load(&no_threads) && atomic_load(&refused) < REFUSED && atomic_load(&ran) == 0)
        usleep(1000);
    atomic_store(&no_threads, false);
    support_until(&ran, 1); /* for ever, if nobody is called up again */
    CHECK_EQ(write(first[1], "a", 1), 1);
    return arg;
}

static int scene(void *arg)
{
    struct pirn_runtime *rt = pirn_runtime_current();
    (void)arg;
    atomic_store(&runtime, rt);
    pirn_task *task = support_spawn(woken, NULL), *other = support_spawn(runs_meanwhile, NULL);
    support_until_waiting(task);
    support_until_waiting(other);
    atomic_store(&monitor_word, &rt->monitor_word);
    pthread_t thread = support_thread(direct, NULL);
    block(first[0]);
    support_thread_join(thread);
    CHECK_OK(support_join(task));
    CHECK_OK(support_join(other));
    struct worker *w = atomic_load(&gone);
    while (w != NULL && atomic_load(&looks) < LOOKS)
        CHECK_OK(pirn_sleep(pirn_after_ms(1))); /* it looks while anybody is awake */
    CHECK(w == NULL || worker_role(w) != ROLE_GONE || worker_stuck(w) == STUCK_NOT);
    return 0;
}

START_TEST(a_spare_that_is_gone_is_not_stuck)
{
    for (int i = 0; i < TRIES && atomic_load(&gone) == NULL; i++) {
        atomic_store(&blocked, 0);
        atomic_store(&over, 0);
        atomic_store(&refused, 0);
        atomic_store(&ran, 0);
        CHECK_OK(pirn_event_init(&event));
        CHECK_OK(pirn_event_init(&third));
        support_pipe(first);
        support_pipe(second);
        support_census before = support_count();
        CHECK_OK(support_run(1, scene, NULL));
        support_no_more_than(before);
        for (int k = 0; k < 2; k++) {
            CHECK_OK(close(first[k]));
            CHECK_OK(close(second[k]));
        }
    }
    CHECK(atomic_load(&gone) != NULL);
}
END_TEST

/* ---- Called up again ---------------------------------------------------------------------- */

void __wrap_pirn_port_wake(struct port *port)
{
    struct pirn_runtime *rt = atomic_load(&runtime);
    struct worker *w = (struct worker *)((char *)port - offsetof(struct worker, port));
    if (rt != NULL && w->rt == rt && pthread_equal(pthread_self(), rt->monitor) &&
        w->index < MOST_THREADS && was[w->index] >= ROLE_RETIRED) {
        bool sent_back = worker_role(w) == ROLE_RETIRED;
        CHECK(!sent_back || (was[w->index] == ROLE_RETIRED && !called_up[w->index]));
        called_up[w->index] = !sent_back;
    }
    __real_pirn_port_wake(port);
}

struct crowd {
    atomic_int inside;
    int wanted;
};

/* Computes until all are at it. */
static int computes(void *arg)
{
    struct crowd *c = arg;
    atomic_fetch_add(&c->inside, 1);
    while (atomic_load(&c->inside) < c->wanted) {}
    return 0;
}

static bool spares_rest(struct pirn_runtime *rt)
{
    bool rest = true;
    for (unsigned i = rt->worker_count; i < rt_threads(rt); i++)
        rest = rest && worker_role(rt_worker(rt, i)) != ROLE_SUBSTITUTE;
    return rest;
}

/* Twice as many as there are workers compute at once: all spares that there may be, each time. */
static int crowds(void *arg)
{
    struct pirn_runtime *rt = pirn_runtime_current();
    int n = 2 * *(int *)arg;
    pirn_task *tasks[8];
    atomic_store(&runtime, rt);
    for (int times = 0; times < CROWDS; times++) {
        struct crowd c = {.wanted = n};
        for (int i = 0; i < n; i++)
            tasks[i] = support_spawn(computes, &c);
        for (int i = 0; i < n; i++)
            CHECK_OK(support_join(tasks[i]));
        while (!spares_rest(rt))
            CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    }
    atomic_store(&runtime, NULL);
    return 0;
}

START_TEST(a_spare_that_is_called_up_again_stays)
{
    FOR_WORKERS(w)
    {
        memset(was, 0, sizeof(was));
        CHECK_OK(support_run(w, crowds, &w));
    }
}
END_TEST

/* ---- Not needed any more -------------------------------------------------------------------- */

static bool all_rest(struct pirn_runtime *rt)
{
    bool rest = rt_threads(rt) > rt->worker_count;
    for (unsigned i = rt->worker_count; i < rt_threads(rt); i++)
        rest = rest && worker_role(rt_worker(rt, i)) >= ROLE_RETIRED;
    return rest;
}

static void *has_a_spare_come_and_go(void *arg)
{
    struct pirn_runtime *rt = arg;
    support_until(&blocked, 1);
    CHECK_OK(pirn_event_set(&third));
    support_until(&ran, 1);
    CHECK_EQ(write(first[1], "a", 1), 1);
    while (!all_rest(rt)) /* for ever, if the monitor does not look */
        usleep(1000);
    CHECK_OK(pirn_event_set(&event));
    return NULL;
}

static int sleeps_on(void *arg)
{
    (void)arg;
    pirn_task *task = support_spawn(runs_meanwhile, NULL);
    support_until_waiting(task);
    pthread_t thread = support_thread(has_a_spare_come_and_go, pirn_runtime_current());
    block(first[0]);
    CHECK_OK(pirn_event_wait(&event, PIRN_NEVER));
    support_thread_join(thread);
    return support_join(task);
}

START_TEST(a_spare_goes_while_all_sleep)
{
    atomic_store(&blocked, 0);
    atomic_store(&ran, 0);
    CHECK_OK(pirn_event_init(&event));
    CHECK_OK(pirn_event_init(&third));
    support_pipe(first);
    CHECK_OK(support_run(1, sleeps_on, NULL));
    CHECK_OK(close(first[0]));
    CHECK_OK(close(first[1]));
}
END_TEST

SUPPORT_MAIN("runtime/spare_gone", a_spare_that_is_gone_is_not_stuck,
             a_spare_that_is_called_up_again_stays, a_spare_goes_while_all_sleep)
