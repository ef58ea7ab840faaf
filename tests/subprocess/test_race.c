/* Child processes: spawns, signals, waits, ends, cancels and releases at the same moment. */
#include "tests/subprocess/child.h"

/* ---- A167: a spawn is cancelled -------------------------------------------------------------- */

struct cancelled {
    support_barrier barrier;
    pirn_task *task;
    int rc;
};

static int spawns(void *arg)
{
    struct cancelled *c = arg;
    pirn_process *p = NULL;
    support_meet(&c->barrier);
    c->rc = pirn_process_spawn(&p, ARGV("sleep", "1000"), NULL, PIRN_NEVER);
    if (c->rc == 0) {
        CHECK_EQ(pirn_process_status(p, NULL), -EINPROGRESS);
        pirn_process_release(p);
    } else {
        CHECK_EQ(c->rc, -ECANCELED);
        CHECK(p == NULL);
    }
    return 0;
}

static void *cancels(void *arg)
{
    struct cancelled *c = arg;
    support_meet(&c->barrier);
    support_spin(support_between(0, 800 * US));
    pirn_cancel(c->task, NULL); /* may be too late */
    return NULL;
}

static int cancel_spawns(void *arg)
{
    int *outcomes = arg;
    for (int i = 0; i < support_rounds(150); i++) {
        struct cancelled c = {.barrier = {.n = 2}};
        CHECK_OK(pirn_coroutine_new(&c.task, NULL, spawns, &c));
        pthread_t thread = support_thread(cancels, &c);
        CHECK_OK(pirn_start(c.task));
        while (!pirn_done(c.task))
            CHECK_OK(pirn_yield());
        support_thread_join(thread);
        CHECK_OK(support_join(c.task));
        outcomes[c.rc != 0]++;
    }
    until_children(0);
    return 0;
}

START_TEST(a167_race_of_a_spawn_and_a_cancel)
{
    int outcomes[2] = {0, 0};
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel_spawns, outcomes));
    support_no_more_than(before);
    CHECK(outcomes[1] != 0);
}
END_TEST

/* The child has begun for sure, and is ended: the far end of its output is closed. */
static int give_up_late(void *arg)
{
    int *outcomes = arg;
    for (int i = 0; i < support_rounds(60); i++) {
        char c;
        int pipe[2];
        pirn_process *p = NULL;
        pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
        support_pipe(pipe);
        config.out = pipe[1];
        config.flags = PIRN_PROCESS_LEAVE; /* is for what has been spawned */
        int rc = pirn_process_spawn(&p, ARGV("sleep", "1000"), &config,
                                    pirn_after_us(support_between(1, 800)));
        close(pipe[1]);
        if (rc == 0) {
            CHECK_OK(pirn_process_kill(p));
            pirn_process_release(p);
        } else {
            CHECK_EQ(rc, -ETIMEDOUT);
            CHECK(p == NULL);
        }
        CHECK_EQ(pirn_read(pipe[0], &c, 1, PIRN_NEVER), 0);
        close(pipe[0]);
        outcomes[rc != 0]++;
    }
    until_children(0);
    return 0;
}

START_TEST(a167_a_spawn_that_is_late_leaves_nothing)
{
    int outcomes[2] = {0, 0};
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, give_up_late, outcomes));
    CHECK(outcomes[1] != 0);
}
END_TEST

/* ---- A167, A168: the end, a signal, a wait, a cancel, the last reference --------------------- */

struct mixed {
    support_barrier barrier;
    pirn_process *p;
    pirn_task *waiter;
    int gate, wait_rc, status, kill_rc;
    bool cancel;
};

static int mixed_wait(void *arg)
{
    struct mixed *m = arg;
    support_meet(&m->barrier);
    m->wait_rc = pirn_process_wait(m->p, &m->status, PIRN_NEVER);
    pirn_process_release(m->p);
    return 0;
}

static void *mixed_end(void *arg)
{
    struct mixed *m = arg;
    support_meet(&m->barrier);
    close(m->gate);
    support_spin(support_between(0, 600 * US)); /* about as long as its end takes */
    if (m->cancel)
        pirn_cancel(m->waiter, NULL);
    return NULL;
}

static void *mixed_kill(void *arg)
{
    struct mixed *m = arg;
    support_meet(&m->barrier);
    support_spin(support_between(0, 600 * US));
    m->kill_rc = pirn_process_kill(m->p);
    pirn_process_release(m->p);
    return NULL;
}

struct seen {
    int exited, killed, cancelled, too_late;
};

static void mix_once(struct seen *seen, bool cancel)
{
    int gate[2], status;
    struct mixed m = {.barrier = {.n = 3}, .status = 99, .cancel = cancel};
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    support_pipe(gate);
    config.in = gate[0];
    m.gate = gate[1];
    m.p = start_shell("read line; exit 7", &config);
    pid_t pid = pirn_process_pid(m.p);
    close(gate[0]);
    pirn_process_retain(m.p);
    bool keep = support_random() % 2 == 0;
    if (keep)
        pirn_process_retain(m.p);
    pirn_process *p = m.p;
    CHECK_OK(pirn_coroutine_new(&m.waiter, NULL, mixed_wait, &m));
    pthread_t ender = support_thread(mixed_end, &m), killer = support_thread(mixed_kill, &m);
    CHECK_OK(pirn_start(m.waiter));
    while (!pirn_done(m.waiter))
        CHECK_OK(pirn_yield());
    support_thread_join(ender);
    support_thread_join(killer);
    CHECK_OK(support_join(m.waiter));
    CHECK(m.kill_rc == 0 || m.kill_rc == -ESRCH);
    if (m.wait_rc == 0)
        CHECK(m.status == 7 || (m.status == -SIGKILL && m.kill_rc == 0));
    else
        CHECK(m.wait_rc == -ECANCELED && cancel && m.status == 99);
    if (keep) {
        CHECK_OK(pirn_process_wait(p, &status, PIRN_NEVER));
        CHECK(status == 7 || (status == -SIGKILL && m.kill_rc == 0));
        if (m.wait_rc == 0)
            CHECK_EQ(status, m.status);
        CHECK(is_gone(pid));
        pirn_process_release(p);
    }
    seen->exited += m.wait_rc == 0 && m.status == 7;
    seen->killed += m.wait_rc == 0 && m.status == -SIGKILL;
    seen->cancelled += m.wait_rc != 0;
    seen->too_late += m.kill_rc != 0;
}

static int mix(void *arg)
{
    for (int i = 0; i < support_rounds(300); i++)
        mix_once(arg, i % 2 == 0);
    until_children(0);
    return 0;
}

START_TEST(a168_race_of_everything)
{
    struct seen seen = {0, 0, 0, 0};
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, mix, &seen));
    support_no_more_than(before);
    if (!support_slow()) /* a hundred rounds may miss one */
        CHECK(seen.exited != 0 && seen.killed != 0 && seen.cancelled != 0 && seen.too_late != 0);
}
END_TEST

/* ---- A168: many at once: nobody has another's pipe ------------------------------------------- */

static atomic_int over;

/* A descriptor that anybody might inherit, were it left to them. */
static void *opens(void *arg)
{
    (void)arg;
    while (!atomic_load(&over)) {
        char c;
        int bare[2];
        CHECK_OK(pipe(bare));
        close(bare[1]);
        CHECK_EQ(read(bare[0], &c, 1), 0);
        close(bare[0]);
    }
    return NULL;
}

/* Its end is seen while others live. */
static int short_lived(void *arg)
{
    (void)arg;
    for (int i = 0; i < 6; i++) {
        char buf[16];
        pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
        CHECK_EQ(output_of(ARGV("echo", "hello"), &config, buf, sizeof(buf)), 0);
        CHECK(strcmp(buf, "hello\n") == 0);
    }
    return 0;
}

static int long_lived(void *arg)
{
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    config.in = config.out = config.err = PIRN_STDIO_PIPE;
    *(pirn_process **)arg = start(ARGV("sleep", "1000"), &config);
    return 0;
}

static int at_once(void *arg)
{
    enum {
        N = 12
    };
    (void)arg;
    pirn_task *tasks[2 * N];
    pirn_process *p[N];
    for (int i = 0; i < N; i++) {
        tasks[2 * i] = support_spawn(long_lived, &p[i]);
        tasks[2 * i + 1] = support_spawn(short_lived, NULL);
    }
    for (int i = 0; i < 2 * N; i++)
        CHECK_OK(support_join(tasks[i]));
    for (int i = 0; i < N; i++) {
        CHECK_EQ(pirn_process_status(p[i], NULL), -EINPROGRESS);
        pirn_process_release(p[i]);
    }
    return 0;
}

START_TEST(a168_parallel_spawns_leak_no_pipe)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    {
        atomic_store(&over, 0);
        pthread_t thread = support_thread(opens, NULL);
        CHECK_OK(support_run(w, at_once, NULL));
        atomic_store(&over, 1);
        support_thread_join(thread);
    }
    until_children(0);
    support_no_more_than(before);
}
END_TEST

SUPPORT_MAIN("subprocess/race", a167_race_of_a_spawn_and_a_cancel,
             a167_a_spawn_that_is_late_leaves_nothing, a168_race_of_everything,
             a168_parallel_spawns_leak_no_pipe)
