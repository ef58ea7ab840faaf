/*
 * Process pools: jobs and their answers, what workers inherit, and jobs that are given up.
 */
#include "tests/asyncio/process_jobs.h"

#include <dirent.h>
#include <stdio.h>

/* ---- S110, S111: in a process of its own, with what it was given ----------------------------- */

static void calls(void)
{
    pirn_process_pool *pool = new_pool(2);
    int numbers[3] = {20, 20, 2}, status = -1;
    struct request r = request(pool, add_up, -5);
    CHECK_OK(pirn_process_call(pool, add_up, numbers, sizeof(numbers), NULL, 0, NULL, &status,
                               PIRN_NEVER));
    CHECK_EQ(status, 42);
    CHECK_OK(pirn_process_call(pool, add_up, NULL, 0, NULL, 0, NULL, NULL, PIRN_NEVER));
    call(&r);
    CHECK_OK(r.rc); /* with status -5: a job's own error is no failure of the call */
    CHECK_EQ(pirn_process_call(pool, NULL, NULL, 0, NULL, 0, NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_process_call(pool, add_up, NULL, 1, NULL, 0, NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_process_call(NULL, add_up, NULL, 0, NULL, 0, NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    CHECK(is_gone(r.pid)); /* reaped, too */
}

START_TEST(s110_s111_jobs_in_processes)
{
    support_census before = support_count();
    support_everywhere(calls);
    support_no_more_than(before);
    pirn_process_pool *pool;
    CHECK_EQ(pirn_process_pool_new(&pool, -1), -EINVAL);
    CHECK_EQ(pirn_process_pool_new(NULL, 1), -EINVAL);
    CHECK_EQ(pirn_process_pool_close(NULL, PIRN_NEVER), -EINVAL);
}
END_TEST

/* ---- S113: a coroutine goes on while a job runs ---------------------------------------------- */

static atomic_int said;

static int say_c(void *arg)
{
    (void)arg;
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    atomic_store(&said, 1);
    atomic_store(&page->release, 1);
    return 0;
}

static int job_and_coroutine(void *arg)
{
    struct request r = request(arg, hold, 9);
    pirn_task *task = support_spawn(say_c, NULL);
    call(&r); /* needs the coroutine, also at W = 1 */
    CHECK_OK(r.rc);
    CHECK_EQ(atomic_load(&said), 1);
    CHECK_OK(support_join(task));
    return 0;
}

START_TEST(s113_coroutines_go_on_meanwhile)
{
    FOR_WORKERS(w)
    {
        pirn_process_pool *pool = new_pool(1);
        atomic_store(&said, 0);
        atomic_store(&page->release, 0);
        CHECK_OK(support_run(w, job_and_coroutine, pool));
        CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    }
}
END_TEST

/* ---- A145: what a worker has ----------------------------------------------------------------- */

/* Counts a process's descriptors, but for standard output and error. */
static void count_fds(pid_t pid, int *ret_sockets, int *ret_pipes, int *ret_rings)
{
    char path[300], target[256];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    for (struct dirent *e; (e = readdir(dir));) {
        if (atoi(e->d_name) == 1 || atoi(e->d_name) == 2)
            continue;
        snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, e->d_name);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        *ret_sockets += strncmp(target, "socket:", 7) == 0;
        *ret_pipes += strncmp(target, "pipe:", 5) == 0;
        *ret_rings += strstr(target, "io_uring") != NULL;
    }
    closedir(dir);
}

/* A worker has one socket, and so has the helper; neither has a pipe or a ring. */
static int look_around(const void *in, size_t in_len, void *out, size_t out_cap,
                       size_t *ret_out_len)
{
    (void)in, (void)in_len, (void)out, (void)out_cap, (void)ret_out_len;
    char line[512];
    int sockets = 0, pipes = 0, rings = 0;
    kill(getpid(), SIGINT);                          /* ignored */
    for (int i = 0; i < 1000 && sockets != 2; i++) { /* the helper may just be closing ours */
        support_pause_ms(i > 0);
        sockets = pipes = rings = 0;
        count_fds(getpid(), &sockets, &pipes, &rings);
        count_fds(getppid(), &sockets, &pipes, &rings);
    }
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof(line), maps))
        rings += strstr(line, "io_uring") != NULL;
    fclose(maps);
    return sockets + 100 * pipes + 10000 * rings;
}

static int inherit_nothing(void *arg)
{
    (void)arg;
    int fds[2], status = -1; /* a ring is open here, and these, and a pipe since the start */
    support_pair(fds);
    pirn_process_pool *pool = new_pool(2);
    CHECK_OK(pirn_process_call(pool, look_around, NULL, 0, NULL, 0, NULL, &status, PIRN_NEVER));
    CHECK_EQ(status, 2);
    CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    CHECK_OK(pirn_close(fds[0]));
    return pirn_close(fds[1]);
}

START_TEST(a145_workers_inherit_nothing)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, inherit_nothing, NULL));
}
END_TEST

/* ---- More than a socket holds ---------------------------------------------------------------- */

enum {
    BIG = 8 << 20
};

static int turn_over(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_out_len)
{
    const unsigned char *from = in;
    unsigned char *to = out;
    for (size_t i = 0; i < in_len && i < out_cap; i++)
        to[i] = (unsigned char)(from[i] ^ 0xff);
    *ret_out_len = in_len;
    return 1;
}

static int send_much(void *arg)
{
    unsigned char *in = malloc(BIG), *out = malloc(BIG);
    size_t len = 0;
    CHECK(in && out);
    for (size_t i = 0; i < BIG; i++)
        in[i] = (unsigned char)(i * 7 + i / 4096);
    CHECK_OK(pirn_process_call(arg, turn_over, in, BIG, out, BIG, &len, NULL, PIRN_NEVER));
    CHECK_EQ(len, BIG);
    for (size_t i = 0; i < BIG; i++)
        if (out[i] != (in[i] ^ 0xff))
            CHECK(!"garbled");
    /* A result larger than its room is an error of that job only. */
    CHECK_EQ(pirn_process_call(arg, turn_over, in, 100, out, 99, &len, NULL, PIRN_NEVER),
             -EMSGSIZE);
    if (!support_slow()) /* sanitizers take it amiss */
        CHECK_EQ(
            pirn_process_call(arg, turn_over, in, (size_t)1 << 62, out, 1, NULL, NULL, PIRN_NEVER),
            -ENOMEM);
    CHECK_OK(pirn_process_call(arg, turn_over, in, 100, out, 100, &len, NULL, PIRN_NEVER));
    CHECK_EQ(len, 100);
    free(in);
    free(out);
    return 0;
}

static int send_much_at_once(void *arg)
{
    pirn_process_pool *pool = new_pool(2);
    pirn_task *tasks[3];
    (void)arg;
    for (int i = 0; i < 3; i++)
        tasks[i] = support_spawn(send_much, pool);
    for (int i = 0; i < 3; i++)
        CHECK_OK(support_join(tasks[i]));
    return pirn_process_pool_close(pool, PIRN_NEVER);
}

START_TEST(s111_big_payloads)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, send_much_at_once, NULL));
}
END_TEST

/* ---- Given up: queued ones never run, a running one leaves its worker in order --------------- */

static int give_up(void *arg)
{
    (void)arg;
    pirn_process_pool *pool = new_pool(1);
    atomic_store(&page->begun, 0);
    atomic_store(&page->release, 0);
    struct request a = request(pool, hold, 1), b = request(pool, hold, 2),
                   c = request(pool, hold, 3), d = request(pool, hold, 4),
                   e = request(pool, add_up, 5);
    pirn_task *ta = support_spawn(call, &a);
    support_until(&page->begun, 1);
    b.deadline = pirn_after_ms(3);
    pirn_task *tb = support_spawn(call, &b), *tc = support_spawn(call, &c);
    support_until_waiting(tc);
    pirn_task *td = support_spawn(call, &d);
    pthread_t te = support_thread(call_on_thread, &e);
    CHECK_OK(pirn_cancel(tc, NULL));
    CHECK_OK(support_join(tb));
    CHECK_EQ(b.rc, -ETIMEDOUT);
    CHECK_OK(support_join(tc));
    CHECK_EQ(c.rc, -ECANCELED);
    CHECK_OK(pirn_cancel(ta, NULL));
    CHECK_OK(support_join(ta)); /* before its job has ended */
    CHECK_EQ(a.rc, -ECANCELED);
    CHECK_EQ(atomic_load(&page->begun), 1);
    atomic_store(&page->release, 1);
    CHECK_OK(support_join(td)); /* its own answer, not a's */
    CHECK_OK(d.rc);
    support_thread_join(te);
    CHECK_OK(e.rc);
    CHECK_EQ(atomic_load(&page->begun), 2);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    struct request f = request(pool, hold, 6);
    call(&f);
    CHECK_EQ(f.rc, -ECANCELED); /* without acting */
    CHECK_EQ(atomic_load(&page->begun), 2);
    return pirn_process_pool_close(pool, PIRN_NEVER);
}

START_TEST(s110_given_up)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, give_up, NULL));
}
END_TEST

/* Deadlines at about the time of the answer: whatever happens, answers stay with their
 * questions. In some rounds it is sure which comes first, so that each is seen on any machine. */
struct racer {
    pirn_process_pool *pool;
    int outcome[2];
};

static int add_up_slowly(const void *in, size_t in_len, void *out, size_t out_cap,
                         size_t *ret_out_len)
{
    support_pause_ms(2);
    return add_up(in, in_len, out, out_cap, ret_out_len);
}

static int race_on(void *arg)
{
    struct racer *racer = arg;
    for (int i = 0; i < support_rounds(1000); i++) {
        struct request r = request(racer->pool, add_up, (int)support_between(0, 1 << 30));
        r.deadline = pirn_after_us(support_between(0, 200));
        if (i % 8 == 0)
            r.deadline = PIRN_NEVER;
        if (i % 8 == 1) {
            r.fn = add_up_slowly;
            r.deadline = PIRN_NOW;
        }
        call(&r);
        CHECK(r.rc == 0 || (r.rc == -ETIMEDOUT && i % 8 != 0));
        racer->outcome[r.rc == 0]++;
    }
    return 0;
}

static void *race_on_thread(void *arg)
{
    race_on(arg);
    return NULL;
}

static int race(void *arg)
{
    struct racer *racers = arg;
    pirn_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = support_spawn(race_on, &racers[i]);
    pthread_t thread = support_thread(race_on_thread, &racers[3]);
    for (int i = 0; i < 3; i++)
        CHECK_OK(support_join(tasks[i]));
    support_thread_join(thread);
    return 0;
}

START_TEST(s110_race_of_answer_and_deadline)
{
    FOR_WORKERS(w)
    {
        pirn_process_pool *pool = new_pool(2);
        struct racer racers[4] = {{pool, {0}}, {pool, {0}}, {pool, {0}}, {pool, {0}}};
        CHECK_OK(support_run(w, race, racers));
        for (int how = 0; how < 2; how++) {
            int seen = 0;
            for (int i = 0; i < 4; i++)
                seen += racers[i].outcome[how];
            CHECK_GE(seen, support_rounds(100));
        }
        CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    }
}
END_TEST

int main(void)
{
    int pipe[2];
    make_page();
    support_pipe(pipe); /* for nobody to inherit */
    CHECK_OK(pirn_process_helper_start());
    CHECK_OK(pirn_process_helper_start()); /* there is one */
    const TTest *tests[] = {s110_s111_jobs_in_processes,
                            s113_coroutines_go_on_meanwhile,
                            a145_workers_inherit_nothing,
                            s111_big_payloads,
                            s110_given_up,
                            s110_race_of_answer_and_deadline};
    return support_main("process_pool", tests, sizeof(tests) / sizeof(tests[0]));
}
