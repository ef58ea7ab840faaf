/* Overflow reports: frames of several sizes, neighbours, other faults, earlier handlers. */
#include <check.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/context.h"
#include "runtime/overflow.h"
#include "runtime/stack.h"
#include "tests/cases.h"

/* ---- A child that faults -------------------------------------------------------------------- */

static int child_status;
static char child_said[4096];

/* Runs fn in a child and keeps its wait status and what it wrote to descriptor 2. */
static void in_child(void (*fn)(void))
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL); /* not the sanitizer's */
        signal(SIGBUS, SIG_DFL);
        fn();
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    ssize_t r;
    while ((r = read(ends[0], child_said + n, sizeof(child_said) - 1 - n)) > 0)
        n += (size_t)r;
    child_said[n] = '\0';
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &child_status, 0), child);
}

static bool died_of(int signal)
{
    return WIFSIGNALED(child_status) && WTERMSIG(child_status) == signal;
}

/* ---- Overflows ------------------------------------------------------------------------------ */

static struct stack_pool pool;
static struct stack *below, *mine, *above;
static volatile int depth;
static size_t frame_bytes;

static __attribute__((noinline)) int descend(int n)
{
    volatile char frame[frame_bytes];
    frame[0] = (char)n; /* its far end */
    depth = n;
    int r = n < 1000000 ? descend(n + 1) : 0;
    return r + frame[0];
}

static void entry(void *arg)
{
    (void)arg;
    descend(1);
    _exit(3);
}

static bool whole(const struct stack *stack)
{
    for (const char *at = stack->low; at < stack->top; at++)
        if (*at != 0x5a)
            return false;
    return true;
}

static bool describe(const void *addr, char *buf, size_t n)
{
    struct stack *stack;
    if (!pirn_stack_guard_of(&pool, addr, &stack))
        return false;
    snprintf(buf, n, "%s, %s", stack == mine ? "mine" : "another",
             whole(below) && whole(above) ? "neighbours intact" : "neighbours damaged");
    return true;
}

static void overflow(void)
{
    void *here;
    if (pirn_stacks_init(&pool, 0) < 0 || pirn_stack_get(&pool, NULL, 0, &below) < 0 ||
        pirn_stack_get(&pool, NULL, 0, &mine) < 0 || pirn_stack_get(&pool, NULL, 0, &above) < 0)
        _exit(4);
    memset(below->low, 0x5a, (size_t)(below->top - below->low));
    memset(above->low, 0x5a, (size_t)(above->top - above->low));
    atomic_store(&pirn_overflow_describe, describe);
    if (pirn_overflow_thread_init() < 0 || pirn_overflow_install() < 0)
        _exit(5);
    context_switch(&here, pirn_context_make(mine->top, entry), NULL);
}

static const size_t frames[] = {200, 6 * 1024, 24 * 1024};

START_TEST(an_overflow_names_the_task_and_kills)
{
    frame_bytes = frames[_i];
    in_child(overflow);
    ck_assert_str_eq(child_said, "pirn: stack overflow in task mine, neighbours intact\n");
    ck_assert(died_of(SIGSEGV));
}
END_TEST

static void *overflow_in_thread(void *arg)
{
    overflow();
    return arg;
}

static void overflow_elsewhere(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, overflow_in_thread, NULL) == 0)
        pthread_join(thread, NULL);
}

START_TEST(an_overflow_in_another_thread)
{
    frame_bytes = 1000;
    in_child(overflow_elsewhere);
    ck_assert_str_eq(child_said, "pirn: stack overflow in task mine, neighbours intact\n");
    ck_assert(died_of(SIGSEGV));
}
END_TEST

static bool describe_at_length(const void *addr, char *buf, size_t n)
{
    (void)addr;
    memset(buf, 'x', n - 1);
    buf[n - 1] = '\0';
    return true;
}

static void *nowhere; /* a page that nobody may touch */

static void fault(void)
{
    *(volatile char *)nowhere = 1;
}

static void fault_described_at_length(void)
{
    atomic_store(&pirn_overflow_describe, describe_at_length);
    if (pirn_overflow_install() < 0)
        _exit(5);
    fault();
}

START_TEST(a_long_description_fits)
{
    in_child(fault_described_at_length);
    ck_assert(died_of(SIGSEGV));
    ck_assert_uint_eq(strlen(child_said), strlen("pirn: stack overflow in task ") + 319 + 1);
    ck_assert_int_eq(child_said[strlen(child_said) - 1], '\n');
}
END_TEST

/* ---- Other faults --------------------------------------------------------------------------- */

static void install(void)
{
    if (pirn_stacks_init(&pool, 0) < 0)
        _exit(4);
    atomic_store(&pirn_overflow_describe, describe);
    if (pirn_overflow_thread_init() < 0 || pirn_overflow_install() < 0)
        _exit(5);
}

static void plain_fault(void)
{
    install();
    fault();
}

static void sent_segv(void)
{
    install();
    kill(getpid(), SIGSEGV);
}

static void sent_bus(void)
{
    install();
    raise(SIGBUS);
}

static void real_bus(void)
{
    install();
    FILE *file = tmpfile();
    char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    at[0] = 1; /* beyond the end of the file */
}

START_TEST(other_faults_kill_without_a_word)
{
    static void (*const ways[])(void) = {plain_fault, sent_segv, sent_bus, real_bus};
    in_child(ways[_i]);
    ck_assert_str_eq(child_said, "");
    ck_assert(died_of(_i < 2 ? SIGSEGV : SIGBUS));
}
END_TEST

/* ---- Earlier handlers ----------------------------------------------------------------------- */

static sigjmp_buf after_fault;
static volatile sig_atomic_t plain_calls;

static void earlier_plain(int signal)
{
    (void)signal;
    plain_calls = plain_calls + 1;
    if (plain_calls > 1)
        _exit(8);
}

static void earlier_info(int signal, siginfo_t *info, void *context)
{
    if (signal != SIGSEGV || info->si_addr != nowhere || !context)
        _exit(9);
    siglongjmp(after_fault, 1);
}

static void recovers_by_earlier_handler(void)
{
    struct sigaction action = {.sa_sigaction = earlier_info, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    install();
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(after_fault, 1) == 0) {
            fault();
            _exit(10);
        }
    _exit(42);
}

static void earlier_handler_once(void)
{
    struct sigaction action = {.sa_handler = earlier_plain, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGSEGV, &action, NULL);
    install();
    fault(); /* handled once, then it kills */
}

static void ignored_when_sent(void)
{
    signal(SIGSEGV, SIG_IGN);
    install();
    errno = 1234;
    kill(getpid(), SIGSEGV);
    _exit(errno == 1234 ? 43 : 11);
}

static void ignored_but_real(void)
{
    signal(SIGSEGV, SIG_IGN);
    install();
    fault();
}

START_TEST(earlier_handlers_get_other_faults)
{
    in_child(recovers_by_earlier_handler);
    ck_assert(WIFEXITED(child_status));
    ck_assert_int_eq(WEXITSTATUS(child_status), 42);
    in_child(earlier_handler_once);
    ck_assert(died_of(SIGSEGV));
    in_child(ignored_when_sent);
    ck_assert(WIFEXITED(child_status));
    ck_assert_int_eq(WEXITSTATUS(child_status), 43);
    in_child(ignored_but_real);
    ck_assert(died_of(SIGSEGV));
    ck_assert_str_eq(child_said, "");
}
END_TEST

static void *handler_of(int signal)
{
    struct sigaction now;
    ck_assert_int_eq(sigaction(signal, NULL, &now), 0);
    return now.sa_flags & SA_SIGINFO ? (void *)now.sa_sigaction : (void *)now.sa_handler;
}

START_TEST(install_is_counted_and_undone)
{
    void *segv = handler_of(SIGSEGV), *bus = handler_of(SIGBUS);
    ck_assert_int_eq(pirn_overflow_install(), 0);
    void *ours = handler_of(SIGSEGV);
    ck_assert_ptr_ne(ours, segv);
    ck_assert_ptr_eq(handler_of(SIGBUS), ours);
    ck_assert_int_eq(pirn_overflow_install(), 0);
    pirn_overflow_remove();
    ck_assert_ptr_eq(handler_of(SIGSEGV), ours);
    pirn_overflow_remove();
    ck_assert_ptr_eq(handler_of(SIGSEGV), segv);
    ck_assert_ptr_eq(handler_of(SIGBUS), bus);

    /* A handler that was put over ours stays. */
    ck_assert_int_eq(pirn_overflow_install(), 0);
    struct sigaction action = {.sa_handler = earlier_plain};
    ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
    pirn_overflow_remove();
    ck_assert_ptr_eq(handler_of(SIGSEGV), (void *)earlier_plain);
    ck_assert_ptr_eq(handler_of(SIGBUS), bus);
    signal(SIGSEGV, SIG_DFL);
}
END_TEST

/* ---- Alternate stacks ----------------------------------------------------------------------- */

static void *alternate_of_thread(void *arg)
{
    stack_t before, during, after;
    (void)arg;
    if (sigaltstack(NULL, &before) < 0 || pirn_overflow_thread_init() < 0 ||
        sigaltstack(NULL, &during) < 0)
        return "failed";
    if (before.ss_flags & SS_DISABLE ? during.ss_flags != 0 || during.ss_size < 32 * 1024
                                     : during.ss_sp != before.ss_sp)
        return "wrong after init";
    memset(during.ss_sp, 1, before.ss_flags & SS_DISABLE ? during.ss_size : 0);
    pirn_overflow_thread_fini();
    if (sigaltstack(NULL, &after) < 0)
        return "failed";
    if (after.ss_flags != before.ss_flags || (!after.ss_flags && after.ss_sp != before.ss_sp))
        return "wrong after fini";
    return NULL;
}

START_TEST(threads_get_and_return_an_alternate_stack)
{
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        void *wrong;
        ck_assert_int_eq(pthread_create(&thread, NULL, alternate_of_thread, NULL), 0);
        ck_assert_int_eq(pthread_join(thread, &wrong), 0);
        ck_assert_msg(!wrong, "%s", (const char *)wrong);
    }
    pirn_overflow_thread_fini(); /* without init: nothing */
}
END_TEST

START_TEST(a_thread_keeps_its_own_alternate_stack)
{
    static char own[1 << 16];
    stack_t stack = {.ss_sp = own, .ss_size = sizeof(own)}, old, now;
    ck_assert_int_eq(sigaltstack(&stack, &old), 0);
    ck_assert_int_eq(pirn_overflow_thread_init(), 0);
    pirn_overflow_thread_fini();
    ck_assert_int_eq(sigaltstack(NULL, &now), 0);
    ck_assert_ptr_eq(now.ss_sp, own);
    ck_assert_int_eq(sigaltstack(&old, NULL), 0);
}
END_TEST

static _Atomic bool enough;

static void *install_and_remove(void *arg)
{
    while (!atomic_load(&enough))
        if (pirn_overflow_install() == 0)
            pirn_overflow_remove();
    return arg;
}

START_TEST(a_forked_child_can_install)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, install_and_remove, NULL), 0);
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGALRM, SIG_DFL);
            alarm(200); /* a lock left behind by a thread that is not here */
            _exit(pirn_overflow_install() < 0 || pirn_overflow_thread_init() < 0);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
    nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TCase *cases = tcase_create("overflow");
    tcase_set_timeout(cases, 240);
    tcase_add_loop_test(cases, an_overflow_names_the_task_and_kills, 0, 3);
    tcase_add_test(cases, an_overflow_in_another_thread);
    tcase_add_test(cases, a_long_description_fits);
    tcase_add_loop_test(cases, other_faults_kill_without_a_word, 0, 4);
    tcase_add_test(cases, earlier_handlers_get_other_faults);
    tcase_add_test(cases, install_is_counted_and_undone);
    tcase_add_test(cases, threads_get_and_return_an_alternate_stack);
    tcase_add_test(cases, a_thread_keeps_its_own_alternate_stack);
    tcase_add_test(cases, a_forked_child_can_install);
    return cases_main("overflow", cases);
}
