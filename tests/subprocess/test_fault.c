/* Child processes while system calls fail: hard builds only, skipped (77) in others. */
#include "tests/subprocess/child.h"

#include "io/fault.h"

#ifndef PIRN_HARD

int main(void)
{
    puts("no fault injection in this build: skipped");
    return 77;
}

#else

static void until_quiet(support_census before)
{
    until_children(0);
    support_no_more_than(before);
}

/* Whatever fails at whichever time, there is the error, and nothing else. */
START_TEST(a168_a_spawn_that_fails_anywhere)
{
    static const struct {
        const char *call, *error;
        int code, times; /* how often it is called, at least */
    } calls[] = {{"pipe2", "EMFILE", -EMFILE, 2},
                 {"openat", "EMFILE", -EMFILE, 1},
                 {"posix_spawnp", "EAGAIN", -EAGAIN, 1},
                 {"pidfd_open", "EMFILE", -EMFILE, 1},
                 {"pidfd_open", "ENFILE", -ENFILE, 1}};
    support_census before = support_count();
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    config.in = PIRN_STDIO_NULL;
    config.out = config.err = PIRN_STDIO_PIPE;
    config.flags = PIRN_PROCESS_LEAVE;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        for (int k = 1; k <= calls[i].times; k++) {
            char rule[64];
            pirn_process *p = NULL;
            snprintf(rule, sizeof(rule), "%s:%s:@%d", calls[i].call, calls[i].error, k);
            CHECK_OK(pirn_fault_set(rule, 1));
            int rc = pirn_process_spawn(&p, ARGV("sleep", "1000"), &config, PIRN_NEVER);
            CHECK_EQ(pirn_fault_count(calls[i].call), 1);
            CHECK_OK(pirn_fault_set(NULL, 1));
            CHECK_EQ(rc, calls[i].code);
            CHECK(p == NULL);
            CHECK_EQ(children(), 0);
            until_quiet(before);
        }
    }
}
END_TEST

/* One that cannot be watched is not forgotten. */
START_TEST(a168_an_orphan_that_cannot_be_watched)
{
    static const char *const rules[] = {"epoll_create1:EMFILE", "epoll_ctl:ENOSPC",
                                        "pthread_create:EAGAIN"};
    support_census before = support_count();
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    config.flags =
        PIRN_PROCESS_LEAVE; /* one that the release kills may be over, and reaped, at once */
    for (int i = 0; i < 3; i++) {
        pirn_process *p = start(ARGV("sleep", "1000"), &config);
        pid_t pid = pirn_process_pid(p);
        CHECK_OK(pirn_fault_set(rules[i], 1));
        pirn_process_release(p);
        CHECK_OK(kill(pid, SIGKILL));
        until_zombie(pid); /* and nobody looks */
        CHECK_OK(pirn_fault_set(NULL, 1));
        CHECK_EQ(children(), 1);
        p = start(ARGV("true"), NULL);
        CHECK(is_gone(pid));
        CHECK_EQ(wait_for(p), 0);
        pirn_process_release(p);
        until_quiet(before);
    }
}
END_TEST

/* A signal that could not be sent, a look that failed: said, and no harm done. */
START_TEST(a168_calls_that_fail)
{
    int status;
    support_census before = support_count();
    pirn_process *p = start(ARGV("sleep", "1000"), NULL);
    CHECK_OK(pirn_fault_set("pidfd_send_signal:EPERM:@1", 1));
    CHECK_EQ(pirn_process_kill(p), -EPERM);
    CHECK_OK(pirn_process_kill(p));
    CHECK_OK(pirn_fault_set("waitid:ENOMEM:@1", 1));
    CHECK_EQ(pirn_process_wait(p, &status, PIRN_NEVER), -ENOMEM);
    CHECK_OK(pirn_fault_set(NULL, 1));
    CHECK_EQ(wait_for(p), -SIGKILL);
    pirn_process_release(p);
    until_quiet(before);
}
END_TEST

SUPPORT_MAIN("subprocess/fault", a168_a_spawn_that_fails_anywhere,
             a168_an_orphan_that_cannot_be_watched, a168_calls_that_fail)

#endif
