/* Single passes: each task that is ready runs once, and the run returns. */
#include "tests/asyncio/runtimes.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>

static void pass(pirn_runtime *rt)
{
    CHECK_OK(pirn_runtime_stop(rt));
    CHECK_OK(pirn_runtime_run_forever(rt));
}

/* ---- A8: nothing but passes ------------------------------------------------------------ */

struct receiver {
    int fd;
    pirn_time deadline;
    atomic_int got;
};

static int receive(void *arg)
{
    struct receiver *r = arg;
    char byte;
    ssize_t n;
    while ((n = pirn_recv(r->fd, &byte, 1, 0, r->deadline)) == 1)
        atomic_fetch_add(&r->got, 1);
    return (int)n;
}

START_TEST(a8_operations_go_on_from_pass_to_pass)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        int pair[2];
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        struct receiver r = {.fd = pair[0], .deadline = PIRN_NEVER};
        pirn_task *task = spawn_in(rt, receive, &r);
        pass(rt);
        CHECK_EQ(support_write(pair[1], "abc", 3), 3);
        while (atomic_load(&r.got) < 3)
            pass(rt);
        CHECK_OK(close(pair[1]));
        while (!pirn_done(task))
            pass(rt);
        CHECK_EQ(pirn_status(task), 0);
        CHECK_OK(pirn_release(task));
        CHECK_OK(close(pair[0]));
        CHECK_OK(pirn_runtime_free(rt));
    }
}
END_TEST

START_TEST(a8_deadlines_of_operations_come_in_passes)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        int pair[2];
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        struct receiver r = {.fd = pair[0], .deadline = pirn_after_ms(5)};
        pirn_task *task = spawn_in(rt, receive, &r);
        while (!pirn_done(task))
            pass(rt);
        CHECK_EQ(pirn_status(task), -ETIMEDOUT);
        CHECK_OK(pirn_release(task));
        CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));
        CHECK_OK(pirn_runtime_free(rt));
    }
}
END_TEST

static int poll_then_count(void *arg)
{
    struct receiver *r = arg;
    CHECK_EQ(pirn_poll(r->fd, POLLIN, PIRN_NEVER), POLLIN);
    atomic_fetch_add(&r->got, 1);
    return 0;
}

/* Completions of operations in the process's rings, overflowed ones as well. */
static int completed(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fdinfo");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[300], *line = NULL;
        size_t size = 0;
        snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", entry->d_name);
        FILE *file = fopen(path, "re");
        while (file != NULL && getline(&line, &size, file) > 0) {
            const char *data = strstr(line, "user_data");
            n += data != NULL && strtoull(data + strlen("user_data="), NULL, 10) > 7;
        }
        free(line);
        if (file != NULL)
            fclose(file);
    }
    closedir(dir);
    return n;
}

/* More completions than a worker's queue has room for. */
START_TEST(a8_a_pass_sees_all_that_has_completed)
{
    enum {
        MANY = 6000
    };
    static pirn_task *tasks[MANY];
    pirn_runtime *rt = new_runtime(1);
    int pair[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    struct receiver r = {.fd = pair[0]};
    for (int i = 0; i < MANY; i++)
        tasks[i] = spawn_in(rt, poll_then_count, &r);
    for (int i = 0; i < MANY; i++) {
        while (!support_is_waiting(tasks[i])) /* one that has to give way first needs another */
            pass(rt);
        CHECK_OK(pirn_detach(tasks[i]));
    }
    CHECK_EQ(support_write(pair[1], "a", 1), 1);
    while (completed() < MANY) /* the worker's thread posts them in its sleep */
        support_pause_ms(5);
    pass(rt);
    CHECK_EQ(atomic_load(&r.got), MANY);
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
    CHECK_OK(pirn_runtime_free(rt));
}
END_TEST

/* ---- A8: a pass, and strands ---------------------------------------------------------------- */

enum {
    MEMBERS = 20,
    STEPS = 3
};

/* A strand's, and of its members, who have it for themselves. */
struct turns {
    pirn_runtime *rt;
    pirn_strand *strand;
    int taken[MEMBERS * STEPS], n, born;
    struct member {
        struct turns *turns;
        int index;
    } members[MEMBERS];
};

static int is_born(void *arg)
{
    return ((struct turns *)arg)->born++ * 0;
}

static int take_turns(void *arg)
{
    const struct member *m = arg;
    struct turns *t = m->turns;
    if (m->index == 0)
        CHECK_OK(pirn_detach(support_spawn(is_born, t))); /* on the strand, too */
    for (int i = 0; i < STEPS; i++) {
        t->taken[t->n++] = m->index;
        CHECK_OK(pirn_yield());
    }
    return 0;
}

static void queue_members(struct turns *t)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    CHECK_OK(pirn_strand_new(&t->strand));
    config.runtime = t->rt;
    config.strand = t->strand;
    for (int i = 0; i < MEMBERS; i++) {
        t->members[i] = (struct member){t, i};
        CHECK_OK(pirn_spawn_with(NULL, &config, take_turns, &t->members[i]));
    }
}

/* All that are ready have a step, those who wait for their strand too; what they queue has none. */
START_TEST(a8_members_of_a_strand_have_a_step_each)
{
    FOR_WORKERS(w)
    {
        pirn_runtime *rt = new_runtime(w);
        struct turns t[2] = {{.rt = rt}, {.rt = rt}};
        queue_members(&t[0]);
        queue_members(&t[1]);
        for (int nth = 1; nth <= STEPS + 1; nth++) {
            pass(rt);
            for (int k = 0; k < 2; k++) {
                CHECK_EQ(t[k].n, MEMBERS * (nth <= STEPS ? nth : STEPS));
                CHECK_EQ(t[k].born, nth > 1);
                for (int i = 0; i < t[k].n; i++)
                    CHECK_EQ(t[k].taken[i], i % MEMBERS);
            }
        }
        CHECK_OK(pirn_runtime_free(rt));
        pirn_strand_release(t[0].strand);
        pirn_strand_release(t[1].strand);
    }
}
END_TEST

/* ---- A stop while a pass is under way -------------------------------------------------------- */

struct ending {
    pirn_runtime *rt;
    pirn_future *future;
};

static int set_and_stop(void *arg)
{
    const struct ending *e = arg;
    CHECK_OK(pirn_future_set(e->future, 77, NULL));
    return pirn_runtime_stop(e->rt);
}

/* What is there when the pass is over is what the run returns. */
START_TEST(a8_a_stop_in_a_pass_leaves_what_has_come)
{
    FOR_WORKERS(w)
    {
        struct ending e = {.rt = new_runtime(w)};
        int status = 0;
        CHECK_OK(pirn_future_new(&e.future));
        pirn_task *task = spawn_in(e.rt, set_and_stop, &e);
        CHECK_OK(pirn_runtime_stop(e.rt));
        CHECK_OK(pirn_runtime_run_until_done(e.rt, e.future, &status));
        CHECK_EQ(status, 77);
        CHECK_OK(pirn_runtime_run_until_done(e.rt, task, &status)); /* no pass: that has been */
        CHECK_OK(status);
        pirn_release(task);
        pirn_release(e.future);
        CHECK_OK(pirn_runtime_free(e.rt));
    }
}
END_TEST

SUPPORT_MAIN("pass", a8_operations_go_on_from_pass_to_pass,
             a8_deadlines_of_operations_come_in_passes, a8_a_pass_sees_all_that_has_completed,
             a8_members_of_a_strand_have_a_step_each, a8_a_stop_in_a_pass_leaves_what_has_come)
