/*
 * The helper of process pools, and what may become of it: a program that gives up its privileges, a
 * terminal that hangs up, a kernel that passes no more descriptors on, a kill.
 */
#include "tests/asyncio/process_jobs.h"
#include "tests/process/scenario.h"

static void reset_page(void)
{
    atomic_store(&page->begun, 0);
    atomic_store(&page->release, 0);
    for (int i = 0; i < 4; i++)
        atomic_store(&page->pids[i], 0);
}

/* fn(NULL) on a plain thread and in coroutines. */
static void everywhere(pirn_fn fn)
{
    CHECK_OK(fn(NULL));
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, fn, NULL));
}

/* ---- Privileges that the program has given up ------------------------------------------- */

static int closed_by_force(void *arg)
{
    const int number = 1;
    int status = 0;
    pirn_job *job;
    (void)arg;
    reset_page();
    pirn_process_pool *pool = new_pool(2);
    CHECK_OK(pirn_process_submit(pool, &job, hold, &number, sizeof(number), 0));
    support_until(&page->pids[0], 1);
    pid_t worker = atomic_load(&page->pids[0]);
    CHECK_EQ(kill(worker, SIGKILL), -1); /* this program may not */
    CHECK_EQ(pirn_process_pool_close(pool, PIRN_NOW), -ETIMEDOUT);
    CHECK(is_gone(worker));
    CHECK_OK(pirn_await(job, &status, PIRN_NEVER));
    CHECK_EQ(status, -EPIPE);
    return pirn_release(job);
}

static int less_than_its_workers(void *arg)
{
    (void)arg;
    if (geteuid() != 0)
        return SKIPPED;
    CHECK_OK(pirn_process_helper_start());
    drop_privileges();
    everywhere(closed_by_force);
    return 0;
}

/* ---- What the program ignores ----------------------------------------------------------- */

static const int of_terminals[] = {SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};

enum {
    OF_TERMINALS = sizeof(of_terminals) / sizeof(of_terminals[0])
};

static int answers(void *arg)
{
    struct request r = request(arg, add_up, 7);
    call(&r);
    return r.rc;
}

/* As nohup and a shell without job control start one: in a group of its own, which is signalled. */
static int survives_with_the_program(void *arg)
{
    (void)arg;
    CHECK_OK(setpgid(0, 0));
    for (int i = 0; i < OF_TERMINALS; i++)
        CHECK(signal(of_terminals[i], SIG_IGN) != SIG_ERR);
    pirn_process_pool *before = new_pool(1); /* starts the helper */
    CHECK_OK(answers(before));               /* so it is no longer on its way */
    for (int i = 0; i < OF_TERMINALS; i++)
        CHECK_OK(kill(0, of_terminals[i]));
    CHECK_OK(answers(before));
    pirn_process_pool *after = new_pool(1);
    CHECK_OK(answers(after));
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, answers, after));
    CHECK_OK(pirn_process_pool_close(before, PIRN_NEVER));
    return pirn_process_pool_close(after, PIRN_NEVER);
}

static int is_default(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_out_len)
{
    struct sigaction action;
    (void)in_len, (void)out, (void)out_cap, (void)ret_out_len;
    return sigaction(*(const int *)in, NULL, &action) == 0 && action.sa_handler == SIG_DFL;
}

static void handle(int signo)
{
    (void)signo;
}

/* What it handles, or ignores later, or else, is as by default. */
static int as_by_default(void *arg)
{
    static const int others[] = {SIGTERM, SIGUSR1, SIGCHLD, SIGPIPE, SIGHUP, SIGTSTP};
    int yes = -1;
    (void)arg;
    for (int i = 0; i < OF_TERMINALS; i++)
        CHECK(signal(of_terminals[i], i % 2 == 0 ? handle : SIG_DFL) != SIG_ERR);
    CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
    CHECK_OK(pirn_process_helper_start());
    for (int i = 0; i < OF_TERMINALS; i++)
        CHECK(signal(of_terminals[i], SIG_IGN) != SIG_ERR);
    pirn_process_pool *pool = new_pool(1);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        CHECK_OK(pirn_process_call(pool, is_default, &others[i], sizeof(others[i]), NULL, 0, NULL,
                                   &yes, PIRN_NEVER));
        CHECK_EQ(yes, 1);
    }
    return pirn_process_pool_close(pool, PIRN_NEVER);
}

/* ---- No more descriptors may be under way ----------------------------------------------- */

enum {
    UNDER_WAY = 240,
    ALLOWED = 200
};

/* Sends a descriptor n times over: 0 or -errno. */
static int send_descriptors(int socket, int fd, size_t n)
{
    char c = 'x', space[CMSG_SPACE(UNDER_WAY * sizeof(int))] = {0};
    struct iovec iov = {&c, 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = space,
                         .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(n * sizeof(int));
    for (size_t i = 0; i < n; i++)
        memcpy(CMSG_DATA(head) + i * sizeof(int), &fd, sizeof(int));
    return sendmsg(socket, &msg, 0) == 1 ? 0 : -errno;
}

static int refused(void *arg)
{
    pirn_process_pool *pool;
    (void)arg;
    CHECK_EQ(pirn_process_pool_new(&pool, 2), -ETOOMANYREFS);
    return 0;
}

static int granted(void *arg)
{
    (void)arg;
    pirn_process_pool *pool = new_pool(2);
    CHECK_OK(answers(pool));
    return pirn_process_pool_close(pool, PIRN_NEVER);
}

static int none_may_pass(void *arg)
{
    int sockets[2], ends[2];
    (void)arg;
    drop_privileges(); /* the limit is a user's, and not root's */
    support_pair(sockets);
    support_pipe(ends);
    CHECK_OK(send_descriptors(sockets[0], ends[0], UNDER_WAY));
    set_soft_limit(RLIMIT_NOFILE, ALLOWED);
    if (send_descriptors(sockets[0], ends[0], 1) != -ETOOMANYREFS)
        return SKIPPED;
    CHECK_OK(pirn_process_helper_start());
    everywhere(refused);
    CHECK_OK(close(sockets[0]));
    CHECK_OK(close(sockets[1])); /* they have arrived nowhere, and are under way no more */
    everywhere(granted);
    return 0;
}

/* ---- The helper is killed ----------------------------------------------------------------- */

static int parent(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_out_len)
{
    (void)in, (void)in_len, (void)out, (void)out_cap, (void)ret_out_len;
    return getppid();
}

static pid_t helper_of(pirn_process_pool *pool)
{
    int pid = -1;
    CHECK_OK(pirn_process_call(pool, parent, NULL, 0, NULL, 0, NULL, &pid, PIRN_NEVER));
    CHECK(pid > 1);
    return pid;
}

static int there_is_none(void *arg)
{
    pirn_process_pool *pool;
    (void)arg;
    CHECK_EQ(pirn_process_pool_new(&pool, 1), -EPIPE);
    CHECK_EQ(pirn_process_pool_new(&pool, 3), -EPIPE);
    return 0;
}

/* With jobs that run, queued ones, and a pool without any: its workers end with it. */
static int killed_beside_jobs(void *arg)
{
    const int number = 1;
    pirn_job *jobs[4];
    (void)arg;
    reset_page();
    pirn_process_pool *pool = new_pool(2), *idle = new_pool(1);
    for (int i = 0; i < 4; i++)
        CHECK_OK(pirn_process_submit(pool, &jobs[i], hold, &number, sizeof(number), 0));
    support_until(&page->begun, 2);
    CHECK_OK(kill(helper_of(idle), SIGKILL));
    for (int i = 0; i < 4; i++) {
        int status = 0;
        CHECK_OK(pirn_await(jobs[i], &status, PIRN_NEVER));
        CHECK_EQ(status, -EPIPE);
        CHECK_OK(pirn_release(jobs[i]));
    }
    struct request late = request(idle, hold, 1); /* it may still have found a worker */
    call(&late);
    CHECK_EQ(late.rc, -EPIPE);
    CHECK_OK(there_is_none(NULL));
    CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    CHECK_OK(pirn_process_pool_close(idle, PIRN_NEVER));
    return there_is_none(NULL);
}

struct stopped {
    pid_t helper;
    pirn_process_pool *pool;
    int rc;
};

static void *makes_one(void *arg)
{
    struct stopped *s = arg;
    s->rc = pirn_process_pool_new(&s->pool, 2);
    return NULL;
}

static void *closes_one(void *arg)
{
    struct stopped *s = arg;
    s->rc = pirn_process_pool_close(s->pool, PIRN_NEVER);
    return NULL;
}

/* Stopped first, so that whoever asks it does wait. */
static int killed_when_asked(void *arg)
{
    (void)arg;
    pirn_process_pool *pool = new_pool(1);
    struct stopped made = {helper_of(pool), NULL, 0}, closed = {made.helper, pool, -1};
    CHECK_OK(kill(made.helper, SIGSTOP));
    pthread_t maker = support_thread(makes_one, &made),
              closer = support_thread(closes_one, &closed);
    support_pause_ms(30);
    CHECK_OK(kill(made.helper, SIGKILL));
    support_thread_join(maker);
    support_thread_join(closer);
    CHECK_EQ(made.rc, -EPIPE);
    CHECK_OK(closed.rc);
    return there_is_none(NULL);
}

enum {
    MANY = 24
};

struct shot {
    pid_t helper;
    int64_t after;
};

static void *kill_at_some_time(void *arg)
{
    const struct shot *shot = arg;
    support_spin(shot->after);
    CHECK_OK(kill(shot->helper, SIGKILL));
    return NULL;
}

/* While a pool of many is made, used and closed, at any moment of it. */
static int killed_at_any_time(void *arg)
{
    pirn_process_pool *first = new_pool(1), *pool;
    struct shot shot = {helper_of(first), *(int64_t *)arg};
    pthread_t killer = support_thread(kill_at_some_time, &shot);
    int rc = pirn_process_pool_new(&pool, MANY);
    CHECK(rc == 0 || rc == -EPIPE);
    if (rc == 0) {
        struct request r = request(pool, add_up, 3);
        call(&r);
        CHECK(r.rc == 0 || r.rc == -EPIPE);
        CHECK_OK(pirn_process_pool_close(pool, PIRN_NEVER));
    }
    support_thread_join(killer);
    CHECK_OK(there_is_none(NULL));
    return pirn_process_pool_close(first, PIRN_NEVER);
}

/* Each helper is a program's only one. workers: 0 for a plain thread. */
struct death {
    pirn_fn fn;
    int workers;
    int64_t after; /* ns */
};

static int dies(void *arg)
{
    struct death *d = arg;
    CHECK_OK(pirn_process_helper_start());
    return d->workers == 0 ? d->fn(&d->after) : support_run(d->workers, d->fn, &d->after);
}

static void helper_is_killed(void)
{
    static const int workers[] = {0, 1, 2, 4};
    for (int i = 0; i < 4; i++) {
        struct death d = {killed_beside_jobs, workers[i], 0};
        scenario("killed_beside_jobs", dies, &d, 60);
        d.fn = killed_when_asked;
        scenario("killed_when_asked", dies, &d, 60);
    }
    for (int i = 0; i < support_rounds(40); i++) {
        struct death d = {killed_at_any_time, workers[i % 4], support_between(0, 8 * MS)};
        scenario("killed_at_any_time", dies, &d, 60);
    }
}

int main(void)
{
    if (TSAN)
        return SKIPPED; /* it has a thread of its own in the children, where a helper is started */
    make_page();
    scenario("less_than_its_workers", less_than_its_workers, NULL, 60);
    scenario("survives_with_the_program", survives_with_the_program, NULL, 60);
    scenario("as_by_default", as_by_default, NULL, 60);
    scenario("none_may_pass", none_may_pass, NULL, 60);
    helper_is_killed();
    return 0;
}
