/* Child processes: how they end, who hears of it, and who is never signalled. */
#include "tests/subprocess/child.h"

#include <sys/ptrace.h>

/* ---- A167: exit 7, SIGKILL ------------------------------------------------------------------- */

static void ends(void)
{
    int status = 99;
    pirn_process *p = start_shell("exit 7", NULL);
    CHECK_EQ(wait_for(p), 7);
    CHECK_EQ(wait_for(p), 7);
    CHECK_OK(pirn_process_wait(p, NULL, PIRN_NOW));
    CHECK_OK(pirn_process_status(p, &status));
    CHECK_EQ(status, 7);
    pirn_process_release(p);

    p = start(ARGV("sleep", "1000"), NULL);
    status = 99;
    CHECK_EQ(pirn_process_status(p, &status), -EINPROGRESS);
    CHECK_EQ(pirn_process_wait(p, &status, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_process_wait(p, &status, pirn_after_ms(2)), -ETIMEDOUT);
    CHECK_EQ(status, 99);
    CHECK_OK(pirn_process_signal(p, 0));
    CHECK_OK(pirn_process_kill(p));
    CHECK_EQ(wait_for(p), -SIGKILL);
    pirn_process_release(p);

    p = start(ARGV("sleep", "1000"), NULL);
    CHECK_EQ(child_stat(pirn_process_pid(p), 1), getpid());
    CHECK_OK(pirn_process_terminate(p));
    CHECK_EQ(wait_for(p), -SIGTERM);
    pirn_process_release(p);
}

START_TEST(a167_exit_code_or_signal)
{
    int before = children();
    support_census census = support_count();
    support_everywhere(ends);
    CHECK_EQ(children(), before);
    support_no_more_than(census);
}
END_TEST

/* ---- A167: ten waiters ----------------------------------------------------------------------- */

struct ten {
    pirn_process *p;
    atomic_int got;
};

static int one_of_ten(void *arg)
{
    struct ten *t = arg;
    CHECK_EQ(wait_for(t->p), 7);
    atomic_fetch_add(&t->got, 1);
    return 0;
}

static void *thread_of_ten(void *arg)
{
    one_of_ten(arg);
    return NULL;
}

static int ten_wait(void *arg)
{
    int gate[2];
    pirn_task *tasks[7];
    pthread_t threads[3];
    struct ten t = {0};
    (void)arg;
    support_pipe(gate);
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    config.in = gate[0];
    t.p = start_shell("read line; exit 7", &config);
    for (int i = 0; i < 7; i++)
        tasks[i] = support_spawn(one_of_ten, &t);
    for (int i = 0; i < 3; i++)
        threads[i] = support_thread(thread_of_ten, &t);
    for (int i = 0; i < 7; i++)
        support_until_waiting(tasks[i]);
    CHECK_EQ(atomic_load(&t.got), 0);
    CHECK_EQ(pirn_write(gate[1], "\n", 1, PIRN_NEVER), 1);
    for (int i = 0; i < 7; i++)
        CHECK_OK(support_join(tasks[i]));
    for (int i = 0; i < 3; i++)
        support_thread_join(threads[i]);
    CHECK_EQ(atomic_load(&t.got), 10);
    close(gate[0]);
    close(gate[1]);
    pirn_process_release(t.p);
    return 0;
}

START_TEST(a167_ten_waiters_get_the_same)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, ten_wait, NULL));
    CHECK_EQ(children(), 0);
}
END_TEST

/* ---- A167: a cancelled wait ------------------------------------------------------------------ */

static int waits(void *arg)
{
    int status = 99;
    int rc = pirn_process_wait(arg, &status, PIRN_NEVER);
    CHECK_EQ(status, 99);
    return rc;
}

static int cancel_a_wait(void *arg)
{
    (void)arg;
    pirn_process *p = start(ARGV("sleep", "1000"), NULL);
    pirn_task *task = support_spawn(waits, p);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_EQ(pirn_process_status(p, NULL), -EINPROGRESS);
    CHECK_OK(pirn_process_kill(p));
    CHECK_EQ(wait_for(p), -SIGKILL);
    /* An entry with a cancel pending finds it, even if the child has ended. */
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_process_wait(p, NULL, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(wait_for(p), -SIGKILL);
    pirn_process_release(p);
    return 0;
}

START_TEST(a167_a_cancelled_wait_leaves_the_child)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel_a_wait, NULL));
    CHECK_EQ(children(), 0);
}
END_TEST

/* ---- A168: signals --------------------------------------------------------------------------- */

static void after_the_end(void)
{
    pirn_process *p = start(ARGV("true"), NULL);
    until_zombie(pirn_process_pid(p)); /* nobody has waited */
    CHECK_EQ(pirn_process_kill(p), -ESRCH);
    CHECK(is_gone(pirn_process_pid(p)));
    CHECK_EQ(pirn_process_terminate(p), -ESRCH);
    CHECK_EQ(pirn_process_signal(p, 0), -ESRCH);
    CHECK_EQ(wait_for(p), 0);
    CHECK_EQ(pirn_process_kill(p), -ESRCH);
    pirn_process_release(p);

    p = start(ARGV("sleep", "1000"), NULL);
    CHECK_EQ(pirn_process_signal(p, 1000), -EINVAL);
    CHECK_EQ(pirn_process_signal(p, -1), -EINVAL);
    CHECK_EQ(pirn_process_signal_group(p, SIGKILL), -EINVAL);
    CHECK_EQ(pirn_process_status(p, NULL), -EINPROGRESS);
    pirn_process_release(p);
    CHECK_EQ(pirn_process_kill(NULL), -EINVAL);
    CHECK_EQ(pirn_process_wait(NULL, NULL, PIRN_NEVER), -EINVAL);
    pirn_process_release(NULL);
}

START_TEST(a168_a_signal_after_the_end)
{
    support_everywhere(after_the_end);
    until_children(0);
}
END_TEST

static void group(void)
{
    char line[2] = "";
    int pipe[2];
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT, config2 = config;
    config.flags = config2.flags = PIRN_PROCESS_NEW_GROUP;
    support_pipe(pipe);
    config.out = pipe[1];
    pirn_process *p = start_shell("sleep 1000 & sleep 1000 & echo; wait", &config);
    close(pipe[1]);
    CHECK_EQ(child_stat(pirn_process_pid(p), 2), pirn_process_pid(p));
    CHECK_EQ(pirn_read(pipe[0], line, 1, PIRN_NEVER), 1);
    CHECK_OK(pirn_process_signal_group(p, SIGTERM));
    CHECK_EQ(wait_for(p), -SIGTERM);
    CHECK_EQ(pirn_read(pipe[0], line, 1, PIRN_NEVER), 0); /* all three are gone */
    CHECK_OK(
        pirn_process_signal_group(p, SIGTERM)); /* its leader's remains, which keep the number */
    CHECK_EQ(child_stat(pirn_process_pid(p), 0), 'Z');
    CHECK_EQ(pirn_process_signal(p, SIGTERM), -ESRCH);
    pid_t pid = pirn_process_pid(p);
    close(pipe[0]);
    pirn_process_release(p);
    CHECK(is_gone(pid));

    /* The leader leaves somebody behind: who can be reached as long as there is a handle. */
    support_pipe(pipe);
    config.out = pipe[1];
    p = start_shell("sleep 1000 & exit 3", &config);
    close(pipe[1]);
    CHECK_EQ(wait_for(p), 3);
    CHECK_OK(pirn_process_signal_group(p, 0));
    CHECK_OK(pirn_process_signal_group(p, SIGKILL));
    CHECK_EQ(pirn_read(pipe[0], line, 1, PIRN_NEVER), 0);
    CHECK_EQ(wait_for(p), 3);
    pid = pirn_process_pid(p);
    close(pipe[0]);
    pirn_process_release(p);
    CHECK(is_gone(pid));

    /* Somebody else has reaped it: the number may be anybody's. */
    p = start_shell("exit 4", &config2);
    CHECK_EQ(wait_for(p), 4);
    CHECK_EQ(waitpid(pirn_process_pid(p), NULL, WNOHANG), pirn_process_pid(p));
    CHECK_EQ(pirn_process_signal_group(p, SIGKILL), -ESRCH);
    CHECK_EQ(wait_for(p), 4);
    pirn_process_release(p);
}

START_TEST(a168_a_group_is_signalled_as_one)
{
    support_everywhere(group);
}
END_TEST

/* ---- A168: other people's children ----------------------------------------------------------- */

static int foreign_ends(void *arg)
{
    (void)arg;
    pid_t pid = fork();
    if (pid == 0)
        _exit(5);
    until_zombie(pid);
    for (int i = 0; i < 20; i++) {
        pirn_process *p = start_shell("exit 3", NULL);
        if (i % 2 == 0)
            CHECK_EQ(wait_for(p), 3);
        pirn_process_release(p);
    }
    until_children(1);
    CHECK_EQ(child_stat(pid, 0), 'Z');
    int status;
    support_blocking_begin();
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    support_blocking_end();
    CHECK_EQ(WEXITSTATUS(status), 5);
    return 0;
}

START_TEST(a168_foreign_children_are_not_reaped)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, foreign_ends, NULL));
}
END_TEST

/* Somebody else reaps ours: that is said, and nothing is signalled. */
static void stolen(void)
{
    int status = 99;
    pirn_process *p = start(ARGV("true"), NULL);
    support_blocking_begin();
    CHECK_EQ(waitpid(pirn_process_pid(p), NULL, 0), pirn_process_pid(p));
    support_blocking_end();
    CHECK_EQ(pirn_process_wait(p, &status, PIRN_NEVER), -ECHILD);
    CHECK_EQ(pirn_process_status(p, &status), -ECHILD);
    CHECK_EQ(pirn_process_kill(p), -ESRCH);
    CHECK_EQ(status, 99);
    pirn_process_release(p);

    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGCHLD, &ignore, &before);
    for (int i = 0; i < 20; i++) { /* may be gone before anybody can have a descriptor of it */
        p = start(ARGV("true"), NULL);
        CHECK_EQ(pirn_process_wait(p, &status, PIRN_NEVER), -ECHILD);
        CHECK_EQ(pirn_process_kill(p), -ESRCH);
        pirn_process_release(p);
    }
    p = start(ARGV("sleep", "1000"), NULL);
    pirn_process_release(p);
    until_children(0);
    sigaction(SIGCHLD, &before, NULL);
}

START_TEST(a168_stolen_children)
{
    support_census census = support_count();
    support_everywhere(stolen);
    support_no_more_than(census);
}
END_TEST

/* ---- Handles --------------------------------------------------------------------------------- */

static void released(void)
{
    char c;
    int pipe[2];
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    pirn_process *p = start(ARGV("sleep", "1000"), NULL);
    pid_t pid = pirn_process_pid(p);
    CHECK(pirn_process_retain(p) == p);
    pirn_process_release(p);
    CHECK_EQ(pirn_process_status(p, NULL), -EINPROGRESS);
    pirn_process_release(p);
    until_children(0); /* killed and reaped */
    CHECK(is_gone(pid));

    support_pipe(pipe);
    config.flags = PIRN_PROCESS_LEAVE;
    config.in = pipe[0];
    p = start_shell("read line; exit 0", &config);
    pid = pirn_process_pid(p);
    close(pipe[0]);
    pirn_process_release(p);
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    CHECK_EQ(child_stat(pid, 1), getpid());
    CHECK(child_stat(pid, 0) != 'Z');
    CHECK_EQ(pirn_write(pipe[1], "\n", 1, PIRN_NEVER), 1);
    until_children(0); /* it has ended, and is reaped */
    close(pipe[1]);

    support_pipe(pipe); /* with a group of its own, all of that goes */
    config.flags = PIRN_PROCESS_NEW_SESSION;
    config.in = PIRN_STDIO_NULL;
    config.out = pipe[1];
    p = start_shell("sleep 1000 & echo; wait", &config);
    close(pipe[1]);
    CHECK_EQ(pirn_read(pipe[0], &c, 1, PIRN_NEVER), 1);
    CHECK_EQ(child_stat(pirn_process_pid(p), 3), pirn_process_pid(p));
    pirn_process_release(p);
    CHECK_EQ(pirn_read(pipe[0], &c, 1, PIRN_NEVER), 0);
    close(pipe[0]);
    until_children(0);
}

START_TEST(a167_the_last_reference)
{
    support_census census = support_count();
    support_everywhere(released);
    support_no_more_than(census); /* the thread that reaps is gone, too */
}
END_TEST

static int leave_some(void *arg)
{
    pirn_process **kept = arg;
    *kept = start(ARGV("sleep", "1000"), NULL);
    for (int i = 0; i < 10; i++) {
        pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
        config.flags = i % 2 == 0 ? PIRN_PROCESS_LEAVE : 0;
        pirn_process_release(start(ARGV("sleep", "0.01"), &config));
    }
    return 0;
}

START_TEST(a167_handles_outlive_the_run)
{
    FOR_WORKERS(w)
    {
        pirn_process *p;
        CHECK_OK(support_run(w, leave_some, &p));
        CHECK_EQ(pirn_process_status(p, NULL), -EINPROGRESS);
        until_children(1);
        CHECK_OK(pirn_process_kill(p));
        CHECK_EQ(wait_for(p), -SIGKILL);
        pirn_process_release(p);
    }
}
END_TEST

/* In a fork's child the handle is dead, and its release harms nobody. */
static void forked(void)
{
    pirn_process *p = start(ARGV("sleep", "1000"), NULL);
    pid_t pid = fork();
    if (pid == 0) {
        bool good = pirn_process_wait(p, NULL, PIRN_NEVER) == -ESHUTDOWN &&
                    pirn_process_kill(p) == -ESHUTDOWN &&
                    pirn_process_status(p, NULL) == -ESHUTDOWN;
        pirn_process_release(p);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    support_blocking_begin();
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    support_blocking_end();
    CHECK_EQ(status, 0);
    CHECK_EQ(pirn_process_status(p, NULL), -EINPROGRESS);
    pirn_process_release(p);
    until_children(0);
}

/* A child that has ended is its tracer's until that has looked: a deadline comes all the same. */
static void traced(void)
{
    int status, ready[2];
    char seized = 0;
    pirn_process *p;
    CHECK_OK(pirn_process_spawn(&p, ARGV("sleep", "1000"), NULL, PIRN_NEVER));
    pid_t child = pirn_process_pid(p);
    support_pipe(ready);
    pid_t tracer = fork();
    CHECK_GE(tracer, 0);
    if (tracer == 0) {
        char answer = ptrace(PTRACE_SEIZE, child, NULL, NULL) == 0 ? 'y' : 'n';
        if (write(ready[1], &answer, 1) == 1)
            pause();
        _exit(0);
    }
    CHECK_EQ(pirn_read(ready[0], &seized, 1, PIRN_NEVER), 1);
    CHECK_OK(pirn_process_kill(p));
    while (child_stat(child, 0) != 'Z')
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    if (seized == 'y') {
        CHECK_EQ(pirn_process_wait(p, &status, pirn_after_ms(3)), -ETIMEDOUT);
        CHECK_EQ(pirn_process_wait(p, &status, PIRN_NOW), -ETIMEDOUT);
    }
    CHECK_OK(kill(tracer, SIGKILL));
    support_blocking_begin();
    CHECK_EQ(waitpid(tracer, NULL, 0), tracer);
    support_blocking_end();
    CHECK_OK(pirn_process_wait(p, &status, PIRN_NEVER));
    CHECK_EQ(status, -SIGKILL);
    pirn_process_release(p);
    close(ready[0]);
    close(ready[1]);
}

START_TEST(a167_a_deadline_while_it_is_traced)
{
    support_everywhere(traced);
}
END_TEST

START_TEST(a167_a_forks_child_has_no_children)
{
    forked();
}
END_TEST

SUPPORT_MAIN("subprocess/status", a167_a_deadline_while_it_is_traced, a167_exit_code_or_signal,
             a167_ten_waiters_get_the_same, a167_a_cancelled_wait_leaves_the_child,
             a168_a_signal_after_the_end, a168_a_group_is_signalled_as_one,
             a168_foreign_children_are_not_reaped, a168_stolen_children, a167_the_last_reference,
             a167_handles_outlive_the_run, a167_a_forks_child_has_no_children)
