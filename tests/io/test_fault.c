/* Fault injection: hard builds only, skipped (77) in others. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/fault.h"
#include "io/sys.h"
#include "tests/cases.h"

#ifndef PIRN_HARD

int main(void)
{
    puts("no fault injection in this build: skipped");
    return 77;
}

#else

static int fd_of_pipe[2];

static void set_up(void)
{
    ck_assert_int_eq(pipe(fd_of_pipe), 0);
    ck_assert_int_eq(pirn_fault_set(NULL, 0), 0);
}

static void tear_down(void)
{
    pirn_fault_set(NULL, 0);
    close(fd_of_pipe[0]);
    close(fd_of_pipe[1]);
}

static int write_one(void)
{
    return (int)sys_write(fd_of_pipe[1], "x", 1);
}

START_TEST(without_rules_nothing_fails)
{
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(write_one(), 1);
    ck_assert_uint_eq(pirn_fault_count("write"), 0);
}
END_TEST

START_TEST(a_rule_names_one_call)
{
    char c;
    ck_assert_int_eq(pirn_fault_set("write:EPIPE", 1), 0);
    ck_assert_int_eq(write_one(), -EPIPE);
    ck_assert_int_eq(write_one(), -EPIPE);
    ck_assert_uint_eq(pirn_fault_count("write"), 2);
    /* Nothing was written, and other calls go on. */
    ck_assert_int_eq(sys_fcntl(fd_of_pipe[0], F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq((int)sys_read(fd_of_pipe[0], &c, 1), -EAGAIN);
    ck_assert_uint_eq(pirn_fault_count("read"), 0);
}
END_TEST

START_TEST(the_kth_call)
{
    ck_assert_int_eq(pirn_fault_set("write:ENOSPC:@3", 1), 0);
    for (int i = 1; i <= 10; i++)
        ck_assert_int_eq(write_one(), i == 3 ? -ENOSPC : 1);
    ck_assert_int_eq(pirn_fault_set("write:28:@3+", 1), 0); /* counts from one again */
    for (int i = 1; i <= 10; i++)
        ck_assert_int_eq(write_one(), i >= 3 ? -ENOSPC : 1);
    ck_assert_uint_eq(pirn_fault_count("write"), 8);
}
END_TEST

static unsigned long long pattern(uint64_t seed)
{
    unsigned long long bits = 0;
    ck_assert_int_eq(pirn_fault_set("write:EINTR:1/4", seed), 0);
    for (int i = 0; i < 64; i++)
        bits = bits << 1 | (write_one() == -EINTR);
    return bits;
}

START_TEST(one_in_n_by_seed)
{
    unsigned long long first = pattern(7);
    ck_assert(first == pattern(7));
    ck_assert(first != pattern(8));

    ck_assert_int_eq(pirn_fault_set("write:EINTR:1/50", 3), 0);
    for (int i = 0; i < 20000; i++)
        write_one();
    ck_assert_uint_ge(pirn_fault_count("write"), 300); /* 400 expected, 20 the deviation */
    ck_assert_uint_le(pirn_fault_count("write"), 500);
}
END_TEST

START_TEST(rules_of_one_name_are_tried_in_order)
{
    ck_assert_int_eq(pirn_fault_set("write:EINTR:@2,write:EIO:@2,read:EIO,write:EPERM:@4", 1), 0);
    int expected[] = {1, -EINTR, -EIO, 1, 1, -EPERM, 1};
    for (int i = 0; i < 7; i++)
        ck_assert_int_eq(write_one(), expected[i]);
    ck_assert_uint_eq(pirn_fault_count("write"), 3);
}
END_TEST

START_TEST(calls_of_each_file_can_be_failed)
{
    void *at;
    struct rlimit limit;
    ck_assert_int_eq(pirn_fault_set("mmap:ENOMEM,pthread_create:EAGAIN,io_uring_setup:EPERM,"
                                    "sigaltstack:ENOMEM,getrlimit:EPERM,accept4:EMFILE,"
                                    "futex_wait:EINTR,sched_setattr:ENOSYS,fsync:EIO,"
                                    "setsockopt:EPERM,pidfd_open:EMFILE",
                                    1),
                     0);
    ck_assert_int_eq(sys_mmap(&at, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                     -ENOMEM);
    ck_assert_int_eq(sys_pthread_create(NULL, NULL, NULL, NULL), -EAGAIN);
    ck_assert_int_eq(sys_io_uring_setup(1, NULL), -EPERM);
    ck_assert_int_eq(sys_sigaltstack(NULL, NULL), -ENOMEM);
    ck_assert_int_eq(sys_getrlimit(RLIMIT_NOFILE, &limit), -EPERM);
    ck_assert_int_eq(sys_accept4(-1, NULL, NULL, 0), -EMFILE);
    ck_assert_int_eq(sys_futex_wait(&at, 0, NULL), -EINTR);
    ck_assert_int_eq(sys_sched_setattr(0, NULL), -ENOSYS);
}
END_TEST

static const char *const unreadable[] = {
    "write",
    "write:",
    "write:ENOSUCH",
    "write:0",
    "write:-5",
    "write:EIO:",
    "write:EIO:5",
    "write:EIO:1/",
    "write:EIO:1/0",
    "write:EIO:2/5",
    "write:EIO:1/5x",
    "write:EIO:@",
    "write:EIO:@0",
    "write:EIO:@1x",
    "write:EIO:@1:2",
    ":EIO",
    "recv:EIO,bad",
    "write:5000",
    "read:EIO,",
    ",read:EIO",
    "write:EIO:1/-1",
    "write:EIO:@ 1",
    ":",
    ",",
    "a_name_that_is_far_too_long_for_any_system_call:EIO",
};

START_TEST(what_cannot_be_read_is_refused)
{
    ck_assert_int_eq(pirn_fault_set(unreadable[_i], 1), -EINVAL);
    ck_assert_int_eq(write_one(), 1);
}
END_TEST

/* The environment is read once per process, so each look at it takes a program of its own. */
static int status_of_self(const char *spec, const char *seed)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("PIRN_FAULT", spec, 1);
        setenv("PIRN_FAULT_SEED", seed, 1);
        freopen("/dev/null", "w", stderr);
        execl("/proc/self/exe", "test_fault", "count-failing-closes", (char *)NULL);
        _exit(99);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int count_failing_closes(void)
{
    int failed = 0;
    for (int i = 0; i < 60; i++)
        failed += sys_close(-1) == -EIO;
    return failed;
}

START_TEST(the_environment_sets_rules)
{
    ck_assert_int_eq(status_of_self("close:EIO:@7", ""), 1);
    ck_assert_int_eq(status_of_self("close:EIO:@7+", ""), 54);
    ck_assert_int_eq(status_of_self("", ""), 0);
    int some = status_of_self("close:EIO:1/3", "12");
    ck_assert_int_ge(some, 5);
    ck_assert_int_le(some, 40);
    ck_assert_int_eq(status_of_self("close:EIO:1/3", "12"), some);
    ck_assert_int_eq(status_of_self("close:nonsense", ""), 2);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "count-failing-closes") == 0)
        return count_failing_closes();
    TCase *cases = tcase_create("fault");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, without_rules_nothing_fails);
    tcase_add_test(cases, a_rule_names_one_call);
    tcase_add_test(cases, the_kth_call);
    tcase_add_test(cases, one_in_n_by_seed);
    tcase_add_test(cases, rules_of_one_name_are_tried_in_order);
    tcase_add_test(cases, calls_of_each_file_can_be_failed);
    tcase_add_loop_test(cases, what_cannot_be_read_is_refused, 0,
                        (int)(sizeof(unreadable) / sizeof(unreadable[0])));
    tcase_add_test(cases, the_environment_sets_rules);
    return cases_main("fault", cases);
}

#endif
