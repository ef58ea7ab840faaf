/*
 * Cleanups: a task's, however it ends, and a block's.
 */
#include "tests/support.h"

#include <fcntl.h>

enum way {
    BY_VALUE,
    BY_ERROR,
    BY_CANCEL,
    BY_SHUTDOWN,
    WAYS
};

struct story {
    enum way way;
    int flags; /* of the task */
    atomic_int running;
    atomic_int calls; /* cleanups that have run to their end */
    int order[8], status[8];
    pirn_task *task;
    struct entry {
        struct story *s;
        int id;
    } entries[3];
};

static void note(void *arg, int status)
{
    struct entry *e = arg;
    int64_t before = support_now();
    CHECK(pirn_current() == e->s->task);
    CHECK_EQ(pirn_status(e->s->task), -EINPROGRESS); /* nobody knows of the end yet */
    CHECK_OK(pirn_yield());                          /* and waiting works */
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_GE(support_now() - before, MS);
    int n = atomic_load(&e->s->calls);
    e->s->order[n] = e->id;
    e->s->status[n] = status;
    atomic_store(&e->s->calls, n + 1);
}

static int end_in_a_way(void *arg)
{
    struct story *s = arg;
    s->task = pirn_current();
    for (int i = 0; i < 3; i++) {
        s->entries[i] = (struct entry){s, i};
        CHECK_OK(pirn_defer(note, &s->entries[i]));
    }
    atomic_store(&s->running, 1);
    if (s->way == BY_VALUE)
        return 7;
    if (s->way == BY_ERROR)
        return -EIO;
    return pirn_sleep(pirn_after_s(100));
}

static void check_story(struct story *s)
{
    static const int said[WAYS] = {7, -EIO, -ECANCELED, -ECANCELED};
    CHECK_EQ(atomic_load(&s->calls), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(s->order[i], 2 - i);
        CHECK_EQ(s->status[i], said[s->way]);
    }
}

static int tell(void *arg)
{
    struct story *stories = arg;
    for (int i = 0; i < WAYS; i++) {
        struct story *s = &stories[i];
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        config.flags = (unsigned)s->flags;
        pirn_task *task;
        CHECK_OK(pirn_spawn_with(&task, &config, end_in_a_way, s));
        if (s->way == BY_VALUE) { /* perhaps called on this stack */
            CHECK_EQ(support_join(task), 7);
            check_story(s);
            continue;
        }
        support_until(&s->running, 1);
        if (s->way == BY_CANCEL) {
            support_until_waiting(task);
            CHECK_OK(pirn_cancel(task, NULL));
        }
        if (s->way == BY_SHUTDOWN) {
            CHECK_OK(pirn_detach(task));
            continue;
        }
        CHECK_EQ(support_join(task), s->way == BY_ERROR ? -EIO : -ECANCELED);
        check_story(s);
    }
    return 0;
}

START_TEST(a64_each_runs_once_newest_first)
{
    FOR_WORKERS(w)
    for (int pinned = 0; pinned < 2; pinned++) {
        struct story stories[WAYS] = {0};
        for (int i = 0; i < WAYS; i++) {
            stories[i].way = (enum way)i;
            stories[i].flags = pinned ? PIRN_PINNED : 0;
        }
        CHECK_OK(support_run(w, tell, stories));
        for (int i = 0; i < WAYS; i++)
            check_story(&stories[i]);
    }
}
END_TEST

/* Past a shutdown's grace they still run; only their waits fail. */
static void clean_slowly(void *arg, int status)
{
    struct story *s = arg;
    s->status[0] = status;
    s->status[1] = pirn_sleep(pirn_after_s(100));
    s->status[2] = pirn_yield();
    atomic_fetch_add(&s->calls, 1);
}

static int stay(void *arg)
{
    CHECK_OK(pirn_defer(clean_slowly, arg));
    CHECK_OK(pirn_defer(clean_slowly, arg));
    return pirn_sleep(pirn_after_s(100));
}

static int leave_behind(void *arg)
{
    pirn_task *task = support_spawn(stay, arg);
    support_until_waiting(task);
    return pirn_detach(task);
}

START_TEST(a64_past_the_grace)
{
    FOR_WORKERS(w)
    {
        struct story s = {0};
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.grace = (pirn_span){20 * MS};
        CHECK_OK(support_run_with(&config, leave_behind, &s));
        CHECK_EQ(atomic_load(&s.calls), 2);
        CHECK_EQ(s.status[0], -ECANCELED);
        CHECK_EQ(s.status[1], -ESHUTDOWN);
        CHECK_EQ(s.status[2], -ESHUTDOWN);
    }
}
END_TEST

/* ---- S97: the close line in all three cases, after the function's own frame is gone --------- */

static void close_one(void *arg, int status)
{
    (void)status;
    int *fd = arg;
    CHECK_OK(pirn_close(*fd));
    *fd = -1;
}

struct line {
    int fds[2];
    int rc;
    bool waits;
};

static int hold_descriptor(void *arg)
{
    struct line *l = arg;
    char c;
    CHECK_OK(pirn_defer(close_one, &l->fds[0]));
    return l->waits ? (int)pirn_recv(l->fds[0], &c, 1, 0, PIRN_NEVER) : l->rc;
}

static int three_cases(void *arg)
{
    (void)arg;
    static const int wanted[3] = {0, -EIO, -ECANCELED};
    for (int i = 0; i < 3; i++) {
        struct line l = {.rc = wanted[i], .waits = i == 2};
        char c;
        support_pair(l.fds);
        pirn_task *task = support_spawn(hold_descriptor, &l);
        if (l.waits) {
            support_until_waiting(task);
            CHECK_OK(pirn_cancel(task, NULL));
        }
        CHECK_EQ(support_join(task), wanted[i]);
        CHECK_EQ(l.fds[0], -1);
        CHECK_EQ(pirn_recv(l.fds[1], &c, 1, 0, PIRN_NEVER), 0); /* the other end hears of it */
        CHECK_OK(pirn_close(l.fds[1]));
    }
    return 0;
}

START_TEST(s97_closed_on_return_error_and_cancel)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, three_cases, NULL));
}
END_TEST

/* ---- Scopes: enter and exit may suspend, and the exit is told -------------------------------- */

struct room {
    int entered, left, told, fd;
};

static void leave(void *arg, int status)
{
    struct room *r = arg;
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_close(r->fd));
    r->left++;
    r->told = status;
}

static int enter(struct room *r)
{
    int pair[2];
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
    support_pair(pair);
    CHECK_OK(pirn_close(pair[1]));
    r->fd = pair[0];
    r->entered++;
    return pirn_defer(leave, r);
}

static int use(struct room *r, int rc, bool waits)
{
    pirn_defer_mark mark = pirn_defer_begin();
    CHECK_OK(enter(r));
    int end = pirn_defer_end(mark, waits ? pirn_sleep(pirn_after_s(100)) : rc);
    CHECK_EQ(r->left, 1); /* before the task ends */
    CHECK_EQ(fcntl(r->fd, F_GETFD), -1);
    CHECK_OK(pirn_yield()); /* nothing is left pending */
    return end;
}

struct visit {
    struct room room;
    int rc;
    bool waits;
};

static int visit(void *arg)
{
    struct visit *v = arg;
    return use(&v->room, v->rc, v->waits);
}

static int visits(void *arg)
{
    (void)arg;
    static const int wanted[3] = {0, -EIO, -ECANCELED};
    for (int i = 0; i < 3; i++) {
        struct visit v = {{0, 0, 99, -1}, wanted[i], i == 2};
        pirn_task *task = support_spawn(visit, &v);
        if (v.waits) {
            while (v.room.entered == 0)
                CHECK_OK(pirn_sleep(pirn_after_ms(1)));
            support_until_waiting(task);
            CHECK_OK(pirn_cancel(task, NULL));
        }
        CHECK_EQ(support_join(task), wanted[i]);
        CHECK_EQ(v.room.entered, 1);
        CHECK_EQ(v.room.left, 1);
        CHECK_EQ(v.room.told, wanted[i]);
    }
    return 0;
}

START_TEST(a175_s162_s164_scope_exit_is_told)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, visits, NULL));
}
END_TEST

/* ---- Marks nest, cleanups register cleanups, and can be taken back --------------------------- */

static char written[32];

static void write_letter(void *arg, int status)
{
    (void)status;
    strcat(written, arg);
}

static void write_more(void *arg, int status)
{
    write_letter(arg, status);
    CHECK_OK(pirn_defer(write_letter, "m"));
}

static int nest(void *arg)
{
    (void)arg;
    CHECK_EQ(pirn_undefer(write_letter, "x"), -ENOENT);
    CHECK_OK(pirn_defer(write_letter, "a"));
    pirn_defer_mark outer = pirn_defer_begin();
    CHECK_OK(pirn_defer(write_letter, "b"));
    pirn_defer_mark middle = pirn_defer_begin();
    CHECK_OK(pirn_defer(write_more, "c"));
    CHECK_OK(pirn_defer(write_letter, "d"));
    CHECK_EQ(pirn_defer_end(middle, 5), 5);
    CHECK(strcmp(written, "dcm") == 0);
    CHECK_EQ(pirn_defer_end(middle, 6), 6); /* nothing more */
    CHECK(strcmp(written, "dcm") == 0);
    static char e[] = "e", f[] = "f";
    CHECK_OK(pirn_defer(write_letter, e));
    CHECK_OK(pirn_defer(write_letter, f));
    CHECK_OK(pirn_undefer(write_letter, e));
    CHECK_EQ(pirn_undefer(write_letter, e), -ENOENT);
    pirn_defer_begin(); /* left open: the outer end covers it */
    CHECK_OK(pirn_defer(write_letter, "g"));
    CHECK_EQ(pirn_defer_end(outer, -EIO), -EIO);
    CHECK(strcmp(written, "dcmgfb") == 0);
    return 0;
}

START_TEST(a64_marks_nest)
{
    FOR_WORKERS(w)
    {
        written[0] = '\0';
        CHECK_OK(support_run(w, nest, NULL));
        CHECK(strcmp(written, "dcmgfba") == 0);
    }
    CHECK_EQ(pirn_defer(write_letter, ""), -EPERM);
    CHECK_EQ(pirn_undefer(write_letter, ""), -EPERM);
    CHECK_EQ(pirn_defer(NULL, ""), -EINVAL);
}
END_TEST

/* ---- A cancel at any moment of the end ------------------------------------------------------- */

struct shot {
    atomic_int go, cleaned;
    support_barrier barrier;
    pirn_task *task;
    int seen;
    bool cancelled, ends; /* now and then this is sure, so that each is seen on any machine */
};

static void count(void *arg, int status)
{
    struct shot *s = arg;
    CHECK_OK(pirn_yield());
    CHECK_OK(pirn_sleep(pirn_after_us(5)));
    s->seen = status;
    atomic_fetch_add(&s->cleaned, 1);
}

static int end_soon(void *arg)
{
    struct shot *s = arg;
    CHECK_OK(pirn_defer(count, s));
    atomic_store(&s->go, 1);
    support_meet(&s->barrier);
    int rc = pirn_sleep(s->cancelled ? PIRN_NEVER : pirn_after_us(10));
    return rc < 0 ? rc : 1;
}

static void *cancel_now(void *arg)
{
    struct shot *s = arg;
    support_meet(&s->barrier);
    support_spin(support_between(0, 4) * 50 * US);
    if (s->ends)
        support_until(&s->cleaned, 1);
    int rc = pirn_cancel(s->task, NULL);
    CHECK(rc == 0 || rc == -EALREADY);
    return NULL;
}

static int shots(void *arg)
{
    int *outcome = arg;
    for (int i = 0; i < support_rounds(3400); i++) {
        struct shot s = {.barrier = {.n = 2}, .cancelled = i % 8 == 0, .ends = i % 8 == 1};
        s.task = support_spawn(end_soon, &s);
        pthread_t thread = support_thread(cancel_now, &s);
        support_until(&s.go, 1);
        int status = -1;
        CHECK_OK(pirn_await(s.task, &status, PIRN_NEVER));
        CHECK_EQ(atomic_load(&s.cleaned), 1);
        CHECK_EQ(s.seen, status);
        if (s.cancelled || s.ends)
            CHECK_EQ(status == 1, s.ends);
        outcome[status == 1]++;
        support_thread_join(thread);
        CHECK_OK(pirn_release(s.task));
    }
    return 0;
}

START_TEST(a64_race_with_a_cancel)
{
    int outcome[2] = {0, 0};
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, shots, outcome));
    CHECK_GE(outcome[0], support_rounds(100));
    CHECK_GE(outcome[1], support_rounds(100));
}
END_TEST

SUPPORT_MAIN("defer", a64_each_runs_once_newest_first, a64_past_the_grace,
             s97_closed_on_return_error_and_cancel, a175_s162_s164_scope_exit_is_told,
             a64_marks_nest, a64_race_with_a_cancel)
