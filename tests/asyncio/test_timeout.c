/*
 * Timeouts around a stretch of a coroutine.
 */
#include "parts.h"

static pirn_timeout entered(pirn_time deadline)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    CHECK_OK(pirn_timeout_enter(&t, deadline));
    return t;
}

/* ---- A88, A89 -------------------------------------------------------------------------------- */

static int expires(void *arg)
{
    (void)arg;
    pirn_timeout t = entered(pirn_after_ms(2));
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED);
    CHECK(pirn_timeout_expired(&t));
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED); /* every one, until it leaves */
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ETIMEDOUT);
    CHECK(pirn_timeout_expired(&t));
    CHECK_EQ(pirn_cancelling(NULL), 0);
    CHECK_OK(pirn_sleep(pirn_after_us(10)));
    t = entered(pirn_after_s(1000));
    CHECK_OK(pirn_sleep(pirn_after_us(10)));
    CHECK_EQ(pirn_timeout_leave(&t, 5), 5);
    CHECK(!pirn_timeout_expired(&t));
    return 0;
}

START_TEST(a88_expires)
{
    run_everywhere(expires);
}
END_TEST

static int sleeps_long(void *arg)
{
    (void)arg;
    return pirn_sleep(pirn_after_s(1000));
}

static int inner_is_sooner(void *arg)
{
    (void)arg;
    pirn_timeout outer = entered(pirn_after_s(1000));
    CHECK_EQ(pirn_with_timeout(sleeps_long, NULL, pirn_after_ms(2)), -ETIMEDOUT);
    CHECK(!pirn_timeout_expired(&outer));
    CHECK_OK(pirn_sleep(pirn_after_us(10))); /* outer and what follows go on */
    CHECK_OK(pirn_timeout_leave(&outer, 0));
    return 0;
}

static int outer_is_sooner(void *arg)
{
    (void)arg;
    pirn_timeout outer = entered(pirn_after_ms(2));
    CHECK_EQ(pirn_with_timeout(sleeps_long, NULL, pirn_after_s(1000)), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&outer, -ECANCELED), -ETIMEDOUT);
    outer = entered(pirn_after_ms(1)); /* both: each reports what came while it was the innermost */
    int rc = pirn_with_timeout(sleeps_long, NULL, pirn_after_ms(1));
    CHECK(rc == -ECANCELED || rc == -ETIMEDOUT);
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&outer, -ECANCELED), -ETIMEDOUT);
    CHECK_EQ(pirn_cancelling(NULL), 0);
    return pirn_yield();
}

START_TEST(a89_nested)
{
    run_everywhere(inner_is_sooner);
    FOR_WORKERS(w)
    for (int i = 0; i < 20; i++)
        CHECK_OK(support_run(w, outer_is_sooner, NULL));
}
END_TEST

/* ---- A91, A94 -------------------------------------------------------------------------------- */

static int own_error(void *arg)
{
    (void)arg;
    pirn_timeout t = entered(pirn_after_s(1000));
    CHECK_EQ(pirn_timeout_leave(&t, -EIO), -EIO);
    CHECK(!pirn_timeout_expired(&t));
    t = entered(pirn_after_ms(1));
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, -EIO), -EIO); /* raised while unwinding */
    CHECK(pirn_timeout_expired(&t));
    t = entered(pirn_after_ms(1));
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, 3), 3); /* a result, for all that */
    return 0;
}

START_TEST(a91_own_error)
{
    run_everywhere(own_error);
}
END_TEST

static int no_time(void *arg)
{
    pirn_time past[] = {PIRN_NOW, {-5}, pirn_now()};
    (void)arg;
    for (int i = 0; i < 3; i++) {
        pirn_timeout t = entered(past[i]);
        CHECK_EQ(pirn_timeout_leave(&t, 0), 0); /* without a suspend */
        CHECK(pirn_timeout_expired(&t));
        t = entered(past[i]);
        CHECK_EQ(pirn_yield(), -ECANCELED);
        CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ETIMEDOUT);
    }
    CHECK_OK(pirn_yield());
    return 0;
}

/* The first suspend fails whatever it is, also if it need not wait; what it would have had is still
 * there. */
static int nothing_is_taken(void *arg)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    pirn_mutex mutex = PIRN_MUTEX_INIT;
    pirn_queue *queue;
    int fds[2], item = 94, got = 0;
    char byte = 'x';
    (void)arg;
    config.elem_size = sizeof(int);
    CHECK_OK(pirn_queue_new(&queue, &config));
    CHECK_OK(pirn_queue_put(queue, &item, PIRN_NEVER));
    support_pair(fds);
    CHECK_EQ(pirn_send(fds[0], &byte, 1, 0, PIRN_NEVER), 1);
    pirn_future *future = set_future(94);
    for (int what = 0; what < 6; what++) {
        pirn_timeout t = entered(PIRN_NOW);
        CHECK_EQ(what == 0   ? pirn_recv(fds[1], &byte, 1, 0, PIRN_NEVER)
                 : what == 1 ? pirn_mutex_lock(&mutex, PIRN_NEVER)
                 : what == 2 ? pirn_queue_get(queue, &got, PIRN_NEVER)
                 : what == 3 ? pirn_await(future, &got, PIRN_NEVER)
                 : what == 4 ? pirn_sleep(PIRN_NOW)
                             : pirn_send(fds[0], &byte, 1, 0, PIRN_NEVER),
                 -ECANCELED);
        CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ETIMEDOUT);
    }
    CHECK_EQ(pirn_recv(fds[1], &byte, 1, 0, PIRN_NEVER), 1); /* the one that was sent */
    CHECK_EQ(pirn_recv(fds[1], &byte, 1, 0, PIRN_NOW), -ETIMEDOUT);
    CHECK_OK(pirn_mutex_lock(&mutex, PIRN_NEVER));
    CHECK_OK(pirn_mutex_unlock(&mutex));
    CHECK_EQ(got, 0);
    CHECK_OK(pirn_queue_get(queue, &got, PIRN_NEVER));
    CHECK_EQ(got, 94);
    pirn_queue_release(queue);
    CHECK_OK(pirn_release(future));
    CHECK_OK(pirn_close(fds[0]));
    return pirn_close(fds[1]);
}

START_TEST(a94_no_time)
{
    run_everywhere(no_time);
    run_everywhere(nothing_is_taken);
}
END_TEST

/* ---- A95 ------------------------------------------------------------------------------------- */

static void *reschedules(void *arg)
{
    support_pause_ms(1);
    CHECK_OK(pirn_timeout_reschedule(arg, pirn_after_ms(2)));
    return NULL;
}

static int reschedule(void *arg)
{
    (void)arg;
    pirn_timeout t = entered(pirn_after_s(1000)), fresh = PIRN_TIMEOUT_INIT;
    pirn_time soon, later;
    CHECK_EQ(pirn_timeout_reschedule(&fresh, PIRN_NEVER), -EINVAL);
    for (int64_t ms = 20;; ms *= 2) { /* until it comes before its time */
        CHECK_OK(pirn_timeout_reschedule(&t, PIRN_NEVER));
        CHECK_EQ(pirn_timeout_when(&t).ns, PIRN_NEVER.ns);
        soon = pirn_after_ms(ms), later = pirn_after_ms(ms + 20);
        CHECK_OK(pirn_timeout_reschedule(&t, soon));
        int rc = pirn_timeout_reschedule(&t, later);
        if (rc == 0)
            break;
        CHECK_GE(pirn_now().ns, soon.ns);
        CHECK_EQ(rc, -EINVAL);
        CHECK_OK(pirn_timeout_leave(&t, 0));
        t = entered(pirn_after_s(1000));
    }
    CHECK_EQ(pirn_timeout_when(&t).ns, later.ns);
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED);
    CHECK_GE(pirn_now().ns, later.ns);
    CHECK_EQ(pirn_timeout_reschedule(&t, PIRN_NEVER), -EINVAL); /* it has come */
    CHECK_EQ(pirn_timeout_enter(&t, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ETIMEDOUT);
    CHECK_EQ(pirn_timeout_reschedule(&t, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_timeout_leave(&t, 0), -EINVAL);
    CHECK_EQ(pirn_timeout_enter(&t, PIRN_NEVER), -EINVAL);
    t = entered(PIRN_NEVER);
    pthread_t thread = support_thread(reschedules, &t); /* by another thread */
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED);
    support_thread_join(thread);
    CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ETIMEDOUT);
    t = entered(pirn_after_s(1000));
    CHECK_OK(pirn_timeout_reschedule(&t, PIRN_NOW));
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&t, -ECANCELED), -ETIMEDOUT);
    return 0;
}

START_TEST(a95_reschedule)
{
    run_everywhere(reschedule);
}
END_TEST

struct move {
    pirn_timeout *timeout;
    pirn_time to;
    int rc;
};

static void *moves(void *arg)
{
    struct move *m = arg;
    m->rc = pirn_timeout_reschedule(m->timeout, m->to);
    return NULL;
}

/* Later, or never, by the task itself or by a thread: it does not come at its former time. */
static void put_off(bool never, bool by_thread)
{
    for (int64_t ms = 5;; ms *= 2) { /* until that is done before its time */
        pirn_timeout t = entered(pirn_after_ms(ms));
        pirn_time soon = pirn_timeout_when(&t), later = {soon.ns + 20 * MS};
        struct move m = {&t, never ? PIRN_NEVER : later, 1};
        pthread_t thread;
        if (by_thread)
            thread = support_thread(moves, &m);
        else
            moves(&m);
        int rc = pirn_sleep(never ? later : PIRN_NEVER);
        int64_t woke = pirn_now().ns;
        if (by_thread)
            support_thread_join(thread);
        if (m.rc == 0) {
            CHECK_EQ(rc, never ? 0 : -ECANCELED);
            CHECK_GE(woke, later.ns);
            CHECK_EQ(pirn_timeout_leave(&t, rc), never ? 0 : -ETIMEDOUT);
            CHECK_EQ(pirn_timeout_expired(&t), !never);
            return;
        }
        CHECK_EQ(m.rc, -EINVAL);
        CHECK_EQ(rc, -ECANCELED);
        CHECK_GE(woke, soon.ns);
        CHECK_EQ(pirn_timeout_leave(&t, rc), -ETIMEDOUT);
    }
}

static int put_off_each_way(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++)
        put_off(i % 2 != 0, i / 2 != 0);
    return 0;
}

START_TEST(a95_later_or_never)
{
    run_everywhere(put_off_each_way);
}
END_TEST

static int leaves_other(void *arg)
{
    CHECK_EQ(pirn_timeout_leave(arg, 0), -EPERM);
    return 0;
}

static int misuse(void *arg)
{
    (void)arg;
    pirn_timeout outer = entered(PIRN_NEVER), inner = entered(PIRN_NEVER);
    pirn_timeout fresh = PIRN_TIMEOUT_INIT;
    CHECK_EQ(pirn_timeout_leave(&outer, 0), -EINVAL); /* not the innermost */
    CHECK_EQ(pirn_timeout_leave(&fresh, 0), -EINVAL);
    CHECK_EQ(pirn_timeout_enter(NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_timeout_leave(NULL, 0), -EINVAL);
    CHECK_EQ(pirn_timeout_reschedule(NULL, PIRN_NEVER), -EINVAL);
    CHECK(!pirn_timeout_expired(&fresh));
    CHECK_EQ(pirn_with_timeout(NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_OK(support_join(support_spawn(leaves_other, &inner)));
    CHECK_OK(pirn_timeout_leave(&inner, 0));
    CHECK_OK(pirn_timeout_leave(&outer, 0));
    return 0;
}

static int never_leaves(void *arg)
{
    static pirn_timeout forgotten[3]; /* what they hold is not freed */
    static int used;
    (void)arg;
    CHECK_OK(pirn_timeout_enter(&forgotten[used++], pirn_after_ms(2)));
    return 0;
}

static int forgets(void *arg)
{
    (void)arg;
    CHECK_OK(support_join(support_spawn_named("forgetful", never_leaves, NULL)));
    CHECK_OK(pirn_sleep(pirn_after_ms(4))); /* it fires, at nobody */
    return 0;
}

START_TEST(a95_misuse)
{
    pirn_timeout t = PIRN_TIMEOUT_INIT;
    support_report report = SUPPORT_REPORT_INIT;
    run_everywhere(misuse);
    CHECK_EQ(pirn_timeout_enter(&t, PIRN_NEVER), -EPERM);
    FOR_WORKERS(w)
    CHECK_OK(support_run_reported(w, &report, forgets, NULL));
    CHECK_EQ(support_reported(&report, "forgetful"), 3);
}
END_TEST

/* ---- A96, and cancels beside timeouts -------------------------------------------------------- */

static int cleans_up(void *arg)
{
    atomic_int *step = arg;
    CHECK_EQ(pirn_sleep(pirn_after_s(1000)), -ECANCELED);
    CHECK_EQ(pirn_with_timeout(sleeps_long, NULL, pirn_after_ms(2)), -ETIMEDOUT);
    atomic_store(step, 1);
    CHECK_EQ(pirn_with_timeout(sleeps_long, NULL, pirn_after_s(1000)), -ECANCELED); /* a new one */
    return -ECANCELED;
}

static int in_cleanup(void *arg)
{
    atomic_int step = 0;
    (void)arg;
    pirn_task *task = support_spawn(cleans_up, &step);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    support_until(&step, 1);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(a96_in_cleanup)
{
    run_everywhere(in_cleanup);
}
END_TEST

/* A shield hides requests, and the timeouts around it; not those inside it. */
static int in_shield(void *arg)
{
    (void)arg;
    pirn_timeout outer = entered(PIRN_NOW);
    CHECK_OK(pirn_shield_enter());
    CHECK_OK(pirn_yield());
    CHECK_EQ(pirn_with_timeout(sleeps_long, NULL, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_shield_leave());
    CHECK_EQ(pirn_yield(), -ECANCELED);
    CHECK_EQ(pirn_timeout_leave(&outer, -ECANCELED), -ETIMEDOUT);
    return 0;
}

START_TEST(a62_timeouts_and_shields)
{
    run_everywhere(in_shield);
}
END_TEST

/* A child that is awaited inside is cancelled with it, and has ended before. */
struct awaiting {
    pirn_task *task;
    pirn_timeout timeout;
};

static void *comes_while_it_waits(void *arg)
{
    struct awaiting *a = arg;
    support_until_waiting(a->task);
    CHECK_OK(pirn_timeout_reschedule(&a->timeout, PIRN_NOW));
    return NULL;
}

static int child(void *arg)
{
    struct part p = {.ms = FOR_EVER, .cleanup_ms = 3};
    int status = 77;
    (void)arg;
    struct awaiting a = {pirn_current(), entered(PIRN_NEVER)};
    pirn_task *task = start_part(&p);
    pthread_t thread = support_thread(comes_while_it_waits, &a);
    int rc = pirn_await(task, &status, PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(status, 77);
    CHECK(pirn_done(task));
    CHECK_EQ(atomic_load(&p.ended), atomic_load(&p.began));
    support_thread_join(thread);
    CHECK_EQ(pirn_timeout_leave(&a.timeout, rc), -ETIMEDOUT);
    CHECK_EQ(support_join(task), -ECANCELED);
    return 0;
}

START_TEST(a88_awaited_child)
{
    run_everywhere(child);
}
END_TEST

/* ---- Races ----------------------------------------------------------------------------------- */

/* The time comes at about the moment of the leave, while another thread reschedules: the task is
 * never hit afterwards, and what leave says agrees with what it saw. Now and then there is but one
 * outcome, so that each is seen on any machine. */
struct contest {
    support_barrier barrier;
    pirn_timeout timeout;
    int rounds, expired, ended, moved;
};

static void *mover(void *arg)
{
    struct contest *c = arg;
    for (int i = 0; i < c->rounds; i++) {
        support_meet(&c->barrier);
        support_spin(support_between(0, 20 * US));
        int rc = pirn_timeout_reschedule(&c->timeout, pirn_after_us(support_between(0, 40)));
        CHECK(rc == 0 || rc == -EINVAL);
        c->moved += rc == 0;
        support_meet(&c->barrier);
    }
    return NULL;
}

static int contest(void *arg)
{
    struct contest *c = arg;
    pthread_t thread = support_thread(mover, c);
    for (int i = 0; i < c->rounds; i++) {
        c->timeout = entered(pirn_after_us(i % 8 == 0 ? 5000000 : support_between(20, 200)));
        support_meet(&c->barrier);
        int rc = i % 8 == 1
                     ? 0
                     : pirn_sleep(pirn_after_us(i % 8 == 0 ? 5000000 : support_between(0, 60)));
        CHECK(rc == 0 || rc == -ECANCELED);
        int left = pirn_timeout_leave(&c->timeout, rc);
        CHECK_EQ(left, rc == 0 ? 0 : -ETIMEDOUT);
        CHECK(rc == 0 || pirn_timeout_expired(&c->timeout));
        CHECK_OK(pirn_yield());
        support_meet(&c->barrier);
        c->expired += rc != 0;
        c->ended += rc == 0;
    }
    support_thread_join(thread);
    CHECK_OK(pirn_yield());
    return 0;
}

START_TEST(a95_comes_when_it_is_left)
{
    FOR_WORKERS(w)
    {
        struct contest c = {.barrier = {.n = 2}, .rounds = support_rounds(3400)};
        CHECK_OK(support_run(w, contest, &c));
        CHECK_GE(c.expired, c.rounds / 100);
        CHECK_GE(c.ended, c.rounds / 100);
        CHECK_GE(c.moved, c.rounds / 100);
    }
}
END_TEST

SUPPORT_MAIN("asyncio/timeout", a62_timeouts_and_shields, a88_expires, a88_awaited_child,
             a89_nested, a91_own_error, a94_no_time, a95_reschedule, a95_later_or_never, a95_misuse,
             a95_comes_when_it_is_left, a96_in_cleanup)
