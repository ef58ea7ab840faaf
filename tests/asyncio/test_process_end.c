/*
 * Process pools: workers that die, pools that close, programs that end, and when a helper can be
 * had.
 */
#include "tests/asyncio/process_jobs.h"
#include "tests/race/rounds.h"

#include <sys/wait.h>

/* ---- A145: a worker dies --------------------------------------------------------------------- */

static int die_working(void *arg)
{
    (void)arg;
    pirn_process_pool *pool = new_pool(2);
    atomic_store(&page->begun, 0);
    atomic_store(&page->release, 0);
    struct request r[5];
    pirn_task *tasks[4];
    for (int i = 0; i < 5; i++)
        r[i] = request(pool, hold, i);
    tasks[0] = support_spawn(call, &r[0]);
    support_until(&page->begun, 1);
    tasks[1] = support_spawn(call, &r[1]);
    support_until(&page->begun, 2);
    for (int i = 2; i < 4; i++) { /* queued */
        tasks[i] = support_spawn(call, &r[i]);
        support_until_waiting(tasks[i]);
    }
    pthread_t thread = support_thread(call_on_thread, &r[4]);
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    while (atomic_load(&page->pids[0]) == 0)
        CHECK_OK(pirn_yield());
    CHECK_OK(kill(atomic_load(&page->pids[0]), SIGKILL));
    CHECK_OK(support_join(tasks[0]));
    for (int i = 2; i < 4; i++)
        CHECK_OK(support_join(tasks[i]));
    support_thread_join(thread);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(r[i].rc, i == 1 ? -1 : -EPIPE);
    struct request late = request(pool, add_up, 1);
    call(&late);
    CHECK_EQ(late.rc, -EPIPE);
    atomic_store(&page->release, 1); /* the other one comes to its end */
    CHECK_OK(support_join(tasks[1]));
    CHECK_OK(r[1].rc);
    CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    CHECK(is_gone(atomic_load(&page->pids[0])) && is_gone(atomic_load(&page->pids[1])));
    return 0;
}

START_TEST(a145_s110_a_worker_dies_with_its_job)
{
    FOR_WORKERS(w)
    {
        atomic_store(&page->pids[0], 0);
        CHECK_OK(support_run(w, die_working, NULL));
    }
}
END_TEST

static int leave(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_out_len)
{
    (void)in_len, (void)out, (void)out_cap, (void)ret_out_len;
    switch (*(const int *)in) {
    case 0:
        _exit(0);
    case 1:
        raise(SIGSEGV);
        break;
    default: /* dies, and something that it has forked keeps the socket open */
        if (fork() == 0) {
            for (int i = 0; i < 20000 && !atomic_load(&page->release); i++)
                support_pause_ms(1);
            _exit(0);
        }
        raise(SIGKILL);
    }
    return 0;
}

static void ways_to_die(void)
{
    for (int how = 0; how < 4; how++) {
        pirn_process_pool *pool = new_pool(1);
        struct request r = request(pool, add_up, 3);
        call(&r);
        CHECK_OK(r.rc);
        if (how == 3) { /* idle */
            CHECK_OK(kill(r.pid, SIGKILL));
            until_gone(r.pid);
        }
        struct request last = request(pool, how == 3 ? add_up : leave, how);
        atomic_store(&page->release, 0);
        last.deadline = pirn_after_s(15);
        call(&last);
        CHECK_EQ(last.rc, -EPIPE);
        CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
        CHECK(is_gone(r.pid));
        atomic_store(&page->release, 1);
    }
}

START_TEST(a145_ways_to_die)
{
    support_census before = support_count();
    support_everywhere(ways_to_die);
    support_no_more_than(before);
}
END_TEST

/* A worker is killed at any moment of a few calls: each ends, with its answer or -EPIPE. In some
 * rounds the worker has gone before them, in some they have all been answered; in the others it is
 * killed after a time that moves against what was seen. */
enum {
    CALLS = 4,
    DEAD_BEFORE = 0,
    DEAD_AFTER = 1,
    ROUND_KINDS = 16 /* all the others are raced */
};

struct deaths {
    int rounds[CALLS + 1]; /* raced ones, by how many calls were answered */
    int raced;
};

static int answered(const struct request *r, pirn_task **tasks)
{
    int n = 0;
    for (int k = 0; k < CALLS; k++) {
        CHECK_OK(support_join(tasks[k]));
        CHECK(r[k].rc == 0 || r[k].rc == -EPIPE);
        n += r[k].rc == 0;
    }
    return n;
}

static int shoot(void *arg)
{
    struct deaths *d = arg;
    int rounds = support_rounds(10000) / 3;
    int64_t began = support_now(), patience = 100 * US;
    for (int i = 0; rounds_go_on(began, i, rounds); i++) {
        int kind = i % ROUND_KINDS;
        pirn_process_pool *pool = new_pool(2);
        struct request r[CALLS], who = request(pool, add_up, 0);
        pirn_task *tasks[CALLS];
        call(&who);
        if (kind == DEAD_BEFORE) {
            CHECK_OK(kill(who.pid, SIGKILL));
            until_gone(who.pid);
        }
        for (int k = 0; k < CALLS; k++) {
            r[k] = request(pool, add_up, k);
            tasks[k] = support_spawn(call, &r[k]);
        }
        int64_t until = support_now() + support_between(0, patience);
        while (kind > DEAD_AFTER && support_now() < until)
            CHECK_OK(pirn_yield());
        for (int k = 0; k < CALLS && kind == DEAD_AFTER; k++)
            CHECK_OK(pirn_await(tasks[k], NULL, PIRN_NEVER));
        if (kind != DEAD_BEFORE)
            CHECK_OK(kill(who.pid, SIGKILL));
        int n = answered(r, tasks);
        if (kind == DEAD_AFTER) {
            CHECK_EQ(n, CALLS);
        } else if (kind != DEAD_BEFORE) {
            d->rounds[n]++;
            d->raced++;
            patience = n == 0 ? patience * 3 / 2 : n == CALLS ? patience * 2 / 3 : patience;
            patience = patience < US ? US : patience > 20 * MS ? 20 * MS : patience;
        }
        CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
        CHECK(is_gone(who.pid));
    }
    return 0;
}

START_TEST(a145_race_of_a_death_and_calls)
{
    struct deaths d = {.raced = 0};
    int some = 0;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, shoot, &d));
    for (int n = 1; n < CALLS; n++)
        some += d.rounds[n];
    if (getenv("PIRN_TEST_VERBOSE"))
        fprintf(stderr, "deaths before all answers: %d, between: %d, after: %d\n", d.rounds[0],
                some, d.rounds[CALLS]);
    rounds_saw(d.rounds[0], d.raced);
    rounds_saw(some, d.raced);
    rounds_saw(d.rounds[CALLS], d.raced);
}
END_TEST

/* ---- Closing --------------------------------------------------------------------------------- */

static int close_it(void *arg)
{
    return pirn_process_pool_close(arg, PIRN_NEVER);
}

static int close_waits(void *arg)
{
    (void)arg;
    pirn_process_pool *pool = new_pool(1);
    struct request a = request(pool, hold, 1), b = request(pool, hold, 2);
    atomic_store(&page->begun, 0);
    atomic_store(&page->release, 0);
    pirn_task *ta = support_spawn(call, &a), *tb = support_spawn(call, &b);
    support_until(&page->begun, 1);
    support_until_waiting(ta);
    support_until_waiting(tb);
    pirn_task *closer = support_spawn(close_it, pool);
    support_until_waiting(closer);
    struct request late = request(pool, add_up, 1); /* sure to find it: it cannot close yet */
    call(&late);
    CHECK_EQ(late.rc, -ESHUTDOWN);
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    CHECK_EQ(pirn_status(closer), -EINPROGRESS);
    atomic_store(&page->release, 1);
    CHECK_OK(support_join(closer));
    CHECK_OK(support_join(ta));
    CHECK_OK(support_join(tb));
    CHECK_OK(a.rc);
    CHECK_OK(b.rc);
    CHECK(is_gone(a.pid));
    return 0;
}

static int close_by_force(void *arg)
{
    for (int cancel = 0; cancel < 2; cancel++) {
        pirn_process_pool *pool = new_pool(1);
        struct request a = request(pool, hold, 1), b = request(pool, hold, 2);
        atomic_store(&page->begun, 0);
        atomic_store(&page->release, 0);
        pirn_task *ta = support_spawn(call, &a), *tb = support_spawn(call, &b);
        support_until(&page->begun, 1);
        support_until_waiting(tb);
        if (cancel) {
            pirn_task *closer = support_spawn(close_it, pool);
            support_until_waiting(closer);
            CHECK_OK(pirn_cancel(closer, NULL));
            CHECK_EQ(support_join(closer), -ECANCELED);
        } else {
            CHECK_EQ(pirn_process_pool_close(pool, pirn_after_ms(2)), -ETIMEDOUT);
        }
        CHECK(is_gone(atomic_load(&page->pids[0])));
        CHECK_OK(support_join(ta));
        CHECK_OK(support_join(tb));
        CHECK_EQ(a.rc, -EPIPE);
        CHECK_EQ(b.rc, -EPIPE);
        CHECK_EQ(atomic_load(&page->begun), 1);
    }
    return close_waits(arg);
}

START_TEST(s110_close_waits_or_kills)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, close_by_force, NULL));
    /* A stopped worker is no hindrance, and a plain thread can close too. */
    pirn_process_pool *pool = new_pool(1);
    struct request r = request(pool, add_up, 1);
    call(&r);
    CHECK_OK(r.rc);
    CHECK_OK(kill(r.pid, SIGSTOP));
    CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    CHECK(is_gone(r.pid));
}
END_TEST

/* ---- A fork's child has no pool -------------------------------------------------------------- */

START_TEST(s110_not_in_a_forks_child)
{
    pirn_process_pool *pool = new_pool(1);
    struct request r = request(pool, add_up, 1);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        call(&r);
        _exit(r.rc == -ESHUTDOWN && pirn_process_pool_close(pool, PIRN_NEVER) == -ESHUTDOWN ? 9
                                                                                            : 1);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    call(&r);
    CHECK_OK(r.rc);
    CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1); /* and none of it all is a child of ours */
    CHECK_EQ(errno, ECHILD);
}
END_TEST

/* It has one as soon as it makes its own, whatever another thread was doing when it was forked. */
static void *make_pools(void *arg)
{
    while (!atomic_load((atomic_int *)arg))
        CHECK_OK(pirn_process_pool_close(new_pool(4), PIRN_NEVER));
    return NULL;
}

START_TEST(s110_forked_while_a_pool_is_made)
{
    atomic_int over = 0;
    if (support_tsan() ||
        support_asan()) /* they have locks of their own that a fork leaves taken */
        return;
    pthread_t thread = support_thread(make_pools, &over);
    for (int i = 0; i < support_rounds(50); i++) {
        support_spin(support_between(0, 2 * MS));
        pid_t child = fork();
        CHECK_GE(child, 0);
        if (child == 0) {
            support_alarm(60);
            CHECK_OK(pirn_process_pool_close(new_pool(1), PIRN_NEVER));
            _exit(9);
        }
        int status = 0;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    }
    atomic_store(&over, 1);
    support_thread_join(thread);
}
END_TEST

/* ---- Before there are threads ---------------------------------------------------------------- */

/* A program that is killed: its workers, one of them computing, and its helper end with it. */
static void end_with_the_program(void)
{
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        pirn_process_pool *pool = new_pool(2); /* starts the helper */
        struct request r[2] = {request(pool, hold, 1), request(pool, hold, 2)};
        pthread_t thread = support_thread(call_on_thread, &r[0]);
        support_until(&page->begun, 1);
        (void)thread;
        while (atomic_load(&page->pids[0]) == 0)
            support_pause_ms(1);
        if (fork() == 0) { /* this one keeps all descriptors open */
            for (int i = 0; i < 100000 && !atomic_load(&page->release); i++)
                support_pause_ms(1);
            atomic_store(&page->begun, 0);
            _exit(0);
        }
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (int i = 0; i < 60000 && !is_gone(atomic_load(&page->pids[0])); i++)
        support_pause_ms(1);
    CHECK(is_gone(atomic_load(&page->pids[0])));
    atomic_store(&page->release, 1);
    while (atomic_load(&page->begun) != 0) /* the last one goes, too */
        support_pause_ms(1);
    atomic_store(&page->release, 0);
    atomic_store(&page->pids[0], 0);
}

static void *wait_for_release(void *arg)
{
    (void)arg;
    while (!atomic_load(&page->release))
        support_pause_ms(1);
    return NULL;
}

static void not_beside_threads(void)
{
    pirn_process_pool *pool;
    pthread_t thread = support_thread(wait_for_release, NULL);
    CHECK_EQ(pirn_process_helper_start(), -EBUSY);
    CHECK_EQ(pirn_process_pool_new(&pool, 1), -EBUSY);
    atomic_store(&page->release, 1);
    support_thread_join(thread);
    int rc;
    while ((rc = pirn_process_helper_start()) == -EBUSY) /* it has a moment to go after its join */
        support_pause_ms(1);
    CHECK_OK(rc);
}

int main(void)
{
    make_page();
    if (!support_tsan()) /* which adds a thread of its own with the first one */
        end_with_the_program();
    if (!support_tsan())
        not_beside_threads();
    CHECK_OK(pirn_process_helper_start());
    const TTest *tests[] = {a145_s110_a_worker_dies_with_its_job,
                            a145_ways_to_die,
                            a145_race_of_a_death_and_calls,
                            s110_close_waits_or_kills,
                            s110_not_in_a_forks_child,
                            s110_forked_while_a_pool_is_made};
    return support_main("process_end", tests, sizeof(tests) / sizeof(tests[0]));
}
