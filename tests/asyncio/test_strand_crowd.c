/* Strands in a crowd: many members of several strands do all that suspends, at random, and never
 * two of one strand at a time. What says so is plain data, so that ThreadSanitizer checks the
 * edges. */
#include "tests/support.h"

enum {
    STRANDS = 8,
    MEMBERS = 16
};

struct group {
    pirn_strand *strand;
    int inside, turns, pipe[2];
};

struct crowd {
    struct group groups[STRANDS];
};

static void enter(struct group *g)
{
    CHECK(pirn_strand_current() == g->strand);
    CHECK_EQ(g->inside, 0);
    g->inside = 1;
    g->turns++;
}

static void leave(struct group *g)
{
    CHECK_EQ(g->inside, 1);
    g->inside = 0;
}

static int child(void *arg)
{
    struct group *g = arg;
    enter(g);
    if (g->turns % 2) {
        leave(g);
        CHECK_OK(pirn_yield());
        enter(g);
    }
    leave(g);
    return 7;
}

static int sleeper(void *arg)
{
    struct group *g = arg;
    int rc;
    enter(g);
    leave(g);
    rc = pirn_sleep(pirn_after_s(100));
    enter(g);
    leave(g);
    return rc;
}

static int sets(void *arg) /* on no strand */
{
    support_spin(support_between(0, 20) * US);
    CHECK_OK(pirn_future_set(arg, 0, NULL));
    pirn_release(arg);
    return 0;
}

static void use_pipe(struct group *g)
{
    char c = 'x';
    leave(g);
    CHECK_EQ(pirn_write(g->pipe[1], &c, 1, PIRN_NEVER), 1);
    enter(g);
    leave(g);
    CHECK_EQ(pirn_read(g->pipe[0], &c, 1, PIRN_NEVER), 1);
    enter(g);
}

static void use_future(struct group *g)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_future *f;
    pirn_task *task;
    config.flags = PIRN_OFF_STRAND;
    config.runtime = pirn_runtime_current();
    CHECK_OK(pirn_future_new(&f));
    CHECK_OK(pirn_spawn_with(&task, &config, sets, pirn_retain(f)));
    bool hurried = g->turns % 2;
    leave(g);
    int rc = pirn_future_await(f, NULL, NULL, hurried ? pirn_after_us(10) : PIRN_NEVER);
    enter(g);
    CHECK(rc == 0 || (rc == -ETIMEDOUT && hurried));
    leave(g);
    CHECK_OK(support_join(task));
    enter(g);
    pirn_release(f);
}

static void use_children(struct group *g)
{
    pirn_task *task[3];
    for (int i = 0; i < 3; i++)
        task[i] = support_spawn(child, g);
    for (int i = 0; i < 3; i++) {
        leave(g);
        CHECK_EQ(support_join(task[i]), 7);
        enter(g);
    }
}

static void use_cancel(struct group *g)
{
    pirn_task *task = support_spawn(sleeper, g);
    if (g->turns % 3) {
        leave(g);
        CHECK_OK(pirn_yield());
        enter(g);
    }
    CHECK_OK(pirn_cancel(task, "crowd"));
    leave(g);
    CHECK_EQ(support_join(task), -ECANCELED);
    enter(g);
}

static int member(void *arg)
{
    struct group *g = arg;
    enter(g);
    for (int i = 0; i < 100; i++) {
        switch (support_between(0, 7)) {
        case 0:
        case 1:
            leave(g);
            CHECK_OK(pirn_yield());
            enter(g);
            break;
        case 2:
            leave(g);
            CHECK_OK(pirn_sleep(pirn_after_us(support_between(1, 50))));
            enter(g);
            break;
        case 3:
            use_pipe(g);
            break;
        case 4:
            use_children(g);
            break;
        case 5:
            use_future(g);
            break;
        case 6:
            use_cancel(g);
            break;
        case 7:
            support_spin(US);
            break;
        }
    }
    leave(g);
    return 0;
}

static void open_groups(struct crowd *c)
{
    for (int i = 0; i < STRANDS; i++) {
        struct group *g = &c->groups[i];
        *g = (struct group){.inside = 0};
        CHECK_OK(pirn_strand_new(&g->strand));
        support_pipe(g->pipe);
    }
}

static void close_groups(struct crowd *c)
{
    for (int i = 0; i < STRANDS; i++) {
        pirn_strand_release(c->groups[i].strand);
        close(c->groups[i].pipe[0]);
        close(c->groups[i].pipe[1]);
    }
}

static int members(void *arg)
{
    struct crowd *c = arg;
    pirn_task *task[STRANDS * MEMBERS];
    for (int i = 0; i < STRANDS * MEMBERS; i++) {
        pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
        struct group *g = &c->groups[i % STRANDS];
        config.strand = g->strand;
        CHECK_OK(pirn_spawn_with(&task[i], &config, member, g));
    }
    for (int i = 0; i < STRANDS * MEMBERS; i++)
        CHECK_OK(support_join(task[i]));
    return 0;
}

START_TEST(members_never_overlap)
{
    struct crowd c;
    for (int i = 0; i < support_rounds(10); i++)
        FOR_WORKERS(w)
        {
            open_groups(&c);
            CHECK_OK(support_run(w, members, &c));
            close_groups(&c);
        }
}
END_TEST

/* ---- Strands with members of two runtimes ------------------------------------------------ */

static void *run_members(void *arg)
{
    CHECK_OK(support_run(2, members, arg));
    return NULL;
}

START_TEST(members_of_two_runtimes_never_overlap)
{
    struct crowd c;
    for (int i = 0; i < support_rounds(10); i++) {
        open_groups(&c);
        pthread_t a = support_thread(run_members, &c), b = support_thread(run_members, &c);
        support_thread_join(a);
        support_thread_join(b);
        close_groups(&c);
    }
}
END_TEST

SUPPORT_MAIN("strand_crowd", members_never_overlap, members_of_two_runtimes_never_overlap)
