/*
 * The place of pirn's handler in the process. A signal that comes just when it has been installed:
 * this program's sigaction comes before the libc's, and raises it there, before it returns. Earlier
 * handlers that stay, or leave by a jump; one that is put back too late.
 */
#include "sched/tsan.h"
#include "tests/support.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#ifdef PIRN_TSAN /* there handlers are the sanitizer's, which installs them by its own sigaction */

int main(void)
{
    return 77;
}

#else

static volatile sig_atomic_t raises, earlier_ran; /* the signal that is to be raised; 0: none */

static void earlier(int signo)
{
    (void)signo;
    earlier_ran++;
}

int sigaction(int signo, const struct sigaction *action, struct sigaction *ret_old)
{
    int (*real)(int, const struct sigaction *, struct sigaction *);
    struct sigaction old;
    *(void **)&real = dlsym(RTLD_NEXT, "sigaction");
    int rc = real(signo, action, &old);
    if (rc == 0 && action != NULL && raises == signo) {
        raises = 0;
        raise(signo);
    }
    if (rc == 0 && ret_old != NULL)
        *ret_old = old;
    return rc;
}

static void install(int signo, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    CHECK_OK(sigaction(signo, &action, NULL));
}

static int count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* It is the function's, and the earlier handler's. */
static int adds(void *arg)
{
    atomic_int runs = 0;
    (void)arg;
    earlier_ran = 0;
    raises = SIGUSR1;
    CHECK_OK(pirn_signal_add(SIGUSR1, count, &runs, NULL));
    CHECK_EQ(raises, 0);
    CHECK_EQ(earlier_ran, 1);
    support_until(&runs, 1);
    CHECK_EQ(pirn_signal_remove(SIGUSR1), 1);
    return 0;
}

START_TEST(a_signal_beside_an_add_is_not_lost)
{
    FOR_WORKERS(w)
    {
        install(SIGUSR1, SIG_IGN); /* another was there the last time */
        pirn_runtime *runtime;
        CHECK_OK(pirn_runtime_new(&runtime, NULL));
        CHECK_OK(pirn_signal_add(SIGUSR1, count, NULL, runtime));
        CHECK_EQ(pirn_signal_remove(SIGUSR1), 1);
        CHECK_OK(pirn_runtime_free(runtime));
        install(SIGUSR1, earlier);
        CHECK_OK(support_run(w, adds, NULL));
    }
    install(SIGUSR1, SIG_DFL);
}
END_TEST

static int is_cancelled(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

/* It cancels main, whenever that begins. */
START_TEST(a_signal_beside_the_start_of_a_run_is_not_lost)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        int status = 0;
        config.workers = w;
        config.flags = PIRN_SIGINT_CANCELS;
        install(SIGINT, earlier);
        earlier_ran = 0;
        raises = SIGINT;
        CHECK_OK(pirn_run_with(&config, is_cancelled, NULL, &status));
        CHECK_EQ(status, -EINTR);
        CHECK_EQ(raises, 0);
        CHECK_EQ(earlier_ran, 1);
    }
    install(SIGINT, SIG_DFL);
}
END_TEST

/* ---- Earlier handlers that do not return ------------------------------------------------- */

static pirn_runtime *with_sigusr1(int workers, atomic_int *runs)
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_runtime *runtime;
    config.workers = workers;
    CHECK_OK(pirn_runtime_new(&runtime, &config));
    CHECK_OK(pirn_signal_add(SIGUSR1, count, runs, runtime));
    return runtime;
}

/* fn() in a fork's child, which a hang ends: its wait status. */
static int in_child(void (*fn)(int workers), int workers)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        support_alarm(60);
        fn(workers);
        _exit(9);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static atomic_int stays, may_leave;

static void stay(int signo)
{
    (void)signo;
    atomic_store(&stays, 1);
    while (!atomic_load(&may_leave)) {}
}

static void *is_signalled(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
    return NULL;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void runs_and_ends(int workers)
{
    CHECK_OK(support_run(workers, nothing, NULL));
}

START_TEST(a_fork_beside_a_handler_at_work)
{
    if (support_asan()) /* it has locks that a fork beside starting threads leaves taken */
        return;
    FOR_WORKERS(w)
    {
        atomic_int runs = 0;
        install(SIGUSR1, stay);
        atomic_store(&stays, 0);
        atomic_store(&may_leave, 0);
        pirn_runtime *runtime = with_sigusr1(w, &runs);
        pthread_t thread = support_thread(is_signalled, NULL);
        support_until(&stays, 1);
        CHECK_EQ(in_child(runs_and_ends, w), 9 << 8);
        CHECK_OK(support_run(w, nothing, NULL)); /* nor does another's end here wait for it */
        atomic_store(&may_leave, 1);
        support_thread_join(thread);
        CHECK_OK(pirn_runtime_free(runtime));
    }
    install(SIGUSR1, SIG_DFL);
}
END_TEST

static sigjmp_buf out_of_it;

static void leap(int signo)
{
    siglongjmp(out_of_it, signo);
}

static void leaps_and_ends(int workers)
{
    atomic_int runs = 0;
    install(SIGUSR1, leap);
    pirn_runtime *runtime = with_sigusr1(workers, &runs);
    if (sigsetjmp(out_of_it, 1) == 0) {
        raise(SIGUSR1);
        _exit(1);
    }
    CHECK_OK(pirn_runtime_free(runtime));
    CHECK_OK(support_run(workers, nothing, NULL));
}

START_TEST(an_earlier_handler_that_jumps)
{
    FOR_WORKERS(w)
    CHECK_EQ(in_child(leaps_and_ends, w), 9 << 8);
}
END_TEST

/* ---- Put back too late: pirn's handler, by who had put another over it ------------------- */

static int is_covered(void *arg)
{
    struct sigaction mine = {.sa_handler = earlier};
    CHECK_OK(pirn_signal_add(SIGUSR1, count, NULL, NULL));
    CHECK_OK(sigaction(SIGUSR1, &mine, arg));
    return 0;
}

static int hears_one(void *arg)
{
    atomic_int *runs = arg;
    CHECK_OK(pirn_signal_add(SIGUSR1, count, runs, NULL));
    raise(SIGUSR1);
    support_until(runs, 1);
    CHECK_OK(pirn_sleep(pirn_after_ms(7))); /* longer than the monitor's tick */
    CHECK_EQ(atomic_load(runs), 1);
    CHECK_EQ(pirn_signal_remove(SIGUSR1), 1);
    return 0;
}

/* The handler is pirn's again; what was there before both is `first`. */
static void put_back(int workers, void (*first)(int))
{
    struct sigaction covered;
    install(SIGUSR1, first);
    CHECK_OK(support_run(workers, is_covered, &covered));
    CHECK_OK(sigaction(SIGUSR1, &covered, NULL));
}

static void it_goes_where_it_belongs(int workers)
{
    atomic_int runs = 0;
    put_back(workers, earlier);
    CHECK_OK(support_run(workers, hears_one, &runs));
    CHECK_EQ(earlier_ran, 1);
    put_back(workers, earlier);
    raise(SIGUSR1); /* nobody else's */
    CHECK_EQ(earlier_ran, 2);
    atomic_store(&runs, 0);
    put_back(workers, SIG_DFL);
    CHECK_OK(support_run(workers, hears_one, &runs));
    put_back(workers, SIG_IGN);
    raise(SIGUSR1);
}

static void default_ends_it(int workers)
{
    put_back(workers, SIG_DFL);
    raise(SIGUSR1);
}

/* By default nothing comes of it, and the handler stays of use. */
static int hears_urgent(void *arg)
{
    atomic_int *runs = arg;
    CHECK_OK(pirn_signal_add(SIGURG, count, runs, NULL));
    raise(SIGURG);
    support_until(runs, 1);
    return 0;
}

static void default_is_nothing(int workers)
{
    struct sigaction covered;
    atomic_int runs = 0;
    pirn_runtime *runtime = with_sigusr1(workers, &runs);
    CHECK_OK(pirn_signal_add(SIGURG, count, &runs, runtime));
    CHECK_OK(sigaction(SIGURG, NULL, &covered));
    CHECK_OK(pirn_runtime_free(runtime));
    CHECK_OK(sigaction(SIGURG, &covered, NULL));
    raise(SIGURG);
    CHECK_EQ(atomic_load(&runs), 0);
    CHECK_OK(support_run(workers, hears_urgent, &runs));
}

START_TEST(pirns_handler_is_put_back_late)
{
    FOR_WORKERS(w)
    {
        earlier_ran = 0;
        CHECK_EQ(in_child(it_goes_where_it_belongs, w), 9 << 8);
        CHECK_EQ(in_child(default_ends_it, w), SIGUSR1);
        CHECK_EQ(in_child(default_is_nothing, w), 9 << 8);
    }
}
END_TEST

/* ---- The earlier handler changes between a remove and the next add ----------------------- */

static atomic_int strange, hammers;

static void takes_one(int signo)
{
    if (signo != SIGUSR2)
        atomic_store(&strange, 1);
}

static void takes_three(int signo, siginfo_t *info, void *context)
{
    if (signo != SIGUSR2 || info->si_signo != SIGUSR2 || context == NULL)
        atomic_store(&strange, 1);
}

static void *hammer(void *arg)
{
    while (atomic_load(&hammers) != 0)
        raise(SIGUSR2);
    return arg;
}

static int changes(void *arg)
{
    struct sigaction one = {.sa_handler = takes_one};
    struct sigaction three = {.sa_sigaction = takes_three, .sa_flags = SA_SIGINFO};
    atomic_int runs = 0;
    (void)arg;
    CHECK_OK(sigaction(SIGUSR2, &one, NULL));
    atomic_store(&hammers, 1);
    pthread_t thread = support_thread(hammer, NULL);
    for (int i = 0; i < support_rounds(100000); i++) {
        CHECK_OK(sigaction(SIGUSR2, i % 2 != 0 ? &one : &three, NULL));
        CHECK_OK(pirn_signal_add(SIGUSR2, count, &runs, NULL));
        CHECK_EQ(pirn_signal_remove(SIGUSR2), 1);
    }
    atomic_store(&hammers, 0);
    support_thread_join(thread);
    return 0;
}

START_TEST(an_earlier_handler_is_called_as_what_it_is)
{
    CHECK_OK(support_run(2, changes, NULL));
    CHECK_EQ(atomic_load(&strange), 0);
}
END_TEST

SUPPORT_MAIN("signal_install", an_earlier_handler_is_called_as_what_it_is,
             a_signal_beside_an_add_is_not_lost, a_signal_beside_the_start_of_a_run_is_not_lost,
             a_fork_beside_a_handler_at_work, an_earlier_handler_that_jumps,
             pirns_handler_is_put_back_late)

#endif
