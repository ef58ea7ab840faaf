/*
 * A signal that comes just when its handler has been installed: this program's sigaction comes
 * before the libc's, and raises it there, before it returns.
 */
#include "sched/tsan.h"
#include "tests/support.h"

#include <dlfcn.h>
#include <signal.h>

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

SUPPORT_MAIN("signal_install", a_signal_beside_an_add_is_not_lost,
             a_signal_beside_the_start_of_a_run_is_not_lost)

#endif
