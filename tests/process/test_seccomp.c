/*
 * io_uring denied (EPERM, as Docker's default profile does) and absent (ENOSYS, as an old kernel):
 * pirn_run gives -ENOSYS either way, says which it was and what to do, and leaves nothing behind.
 * The denial is a seccomp filter of this test's own, in a child, for it cannot be taken off again.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "tests/process/scenario.h"

typedef struct reports {
    char text[4096];
} reports;

static void keep_report(void *user, const char *line)
{
    reports *r = user;
    size_t have = strlen(r->text);

    snprintf(r->text + have, sizeof(r->text) - have, "%s\n", line);
}

static int must_not_run(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

static void deny_io_uring(int with_errno)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)with_errno),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(SKIPPED); /* a kernel without seccomp filters */
    CHECK_EQ(syscall(SYS_io_uring_setup, 1, NULL), -1);
    CHECK_EQ(errno, with_errno);
}

/* Both ways to start, with the default report and with one's own. */
static int denied(void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    reports r = {""};
    support_census before;
    int status = 12345;
    bool ran = false;

    deny_io_uring(*(int *)arg);
    before = support_count();
    CHECK_EQ(pirn_run(must_not_run, &ran), -ENOSYS);
    config.report = keep_report;
    config.report_user = &r;
    config.workers = 2;
    CHECK_EQ(pirn_run_with(&config, must_not_run, &ran, &status), -ENOSYS);
    CHECK_EQ(status, 12345); /* outputs are written only on success */
    CHECK(!ran);
    CHECK(strstr(r.text, "io_uring") != NULL);
    check_nothing_left(before);
    return 0;
}

/* The default report goes to stderr; what it must say depends on the errno. */
static void check_words(int with_errno, const char *which, const char *remedy, char *ret_text,
                        size_t size)
{
    int status = run_child(denied, &with_errno, 20, ret_text, size);

    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        exit(SKIPPED);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        FAIL("wait status %#x, stderr: %s", (unsigned)status, ret_text);
    printf("%s", ret_text);
    if (!strstr(ret_text, which))
        FAIL("no \"%s\" in: %s", which, ret_text);
    if (!strstr(ret_text, remedy))
        FAIL("no \"%s\" in: %s", remedy, ret_text);
}

int main(void)
{
    static char denial[8192], absence[8192];

    check_words(EPERM, "denied", "seccomp", denial, sizeof(denial));
    check_words(ENOSYS, "missing", "kernel", absence, sizeof(absence));
    CHECK(strcmp(denial, absence) != 0);
    return 0;
}
