/*
 * The seccomp filter of workers: which calls the supervisor is asked about (trace.h).
 *
 * It can look at numbers only, not into memory or at descriptors: it lets pass what its flags or
 * its timeout say cannot block (MSG_DONTWAIT, RWF_NOWAIT, WNOHANG), so that what pirn does all the
 * time costs a traced worker no round trip to another thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/trace/trace.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

enum when {
    ALWAYS,
    UNLESS_ANY, /* asked, unless the argument has any of these bits */
    UNLESS_IS,
    ONLY_ANY,
    ONLY_IS,
};

struct rule {
    const char *name;
    int nr;
    enum when when;
    unsigned arg;
    uint32_t value;
};

#define RULE(call, ...) \
    { \
#call, SYS_##call, __VA_ARGS__ \
    }

/* Several rules for one call: any of them asks. */
static const struct rule rules[] = {
    RULE(futex, ALWAYS, 0, 0), /* see add_futex */
    RULE(read, ALWAYS, 0, 0),
    RULE(readv, ALWAYS, 0, 0),
    RULE(pread64, ALWAYS, 0, 0),
    RULE(preadv, ALWAYS, 0, 0),
    RULE(preadv2, UNLESS_ANY, 5, RWF_NOWAIT),
    RULE(write, ALWAYS, 0, 0),
    RULE(writev, ALWAYS, 0, 0),
    RULE(pwrite64, ALWAYS, 0, 0),
    RULE(pwritev, ALWAYS, 0, 0),
    RULE(pwritev2, UNLESS_ANY, 5, RWF_NOWAIT),
    RULE(recvfrom, UNLESS_ANY, 3, MSG_DONTWAIT),
    RULE(recvmsg, UNLESS_ANY, 2, MSG_DONTWAIT),
    RULE(recvmmsg, UNLESS_ANY, 3, MSG_DONTWAIT),
    RULE(sendto, UNLESS_ANY, 3, MSG_DONTWAIT),
    RULE(sendmsg, UNLESS_ANY, 2, MSG_DONTWAIT),
    RULE(sendmmsg, UNLESS_ANY, 3, MSG_DONTWAIT),
    RULE(accept, ALWAYS, 0, 0),
    RULE(accept4, ALWAYS, 0, 0),
    RULE(bind, ALWAYS, 0, 0),
    RULE(connect, ALWAYS, 0, 0),
    RULE(sendfile, ALWAYS, 0, 0),
    RULE(splice, UNLESS_ANY, 5, SPLICE_F_NONBLOCK),
    RULE(tee, UNLESS_ANY, 3, SPLICE_F_NONBLOCK),
    RULE(vmsplice, UNLESS_ANY, 3, SPLICE_F_NONBLOCK),
    RULE(ppoll, ALWAYS, 0, 0),
    RULE(pselect6, ALWAYS, 0, 0),
    RULE(epoll_pwait, UNLESS_IS, 3, 0),
    RULE(epoll_pwait2, ALWAYS, 0, 0),
    RULE(nanosleep, ALWAYS, 0, 0),
    RULE(clock_nanosleep, ALWAYS, 0, 0),
    RULE(wait4, UNLESS_ANY, 2, WNOHANG),
    RULE(waitid, UNLESS_ANY, 3, WNOHANG),
    RULE(rt_sigtimedwait, ALWAYS, 0, 0),
    RULE(rt_sigsuspend, ALWAYS, 0, 0),
    RULE(fsync, ALWAYS, 0, 0),
    RULE(fdatasync, ALWAYS, 0, 0),
    RULE(sync, ALWAYS, 0, 0),
    RULE(syncfs, ALWAYS, 0, 0),
    RULE(sync_file_range, ALWAYS, 0, 0),
    RULE(msync, ONLY_ANY, 2, MS_SYNC),
    RULE(flock, UNLESS_ANY, 1, LOCK_NB),
    RULE(fcntl, ONLY_IS, 1, F_SETLKW),
    RULE(fcntl, ONLY_IS, 1, F_OFD_SETLKW),
    RULE(msgrcv, UNLESS_ANY, 4, IPC_NOWAIT),
    RULE(msgsnd, UNLESS_ANY, 3, IPC_NOWAIT),
    RULE(semop, ALWAYS, 0, 0),
    RULE(semtimedop, ALWAYS, 0, 0),
    RULE(mq_timedsend, ALWAYS, 0, 0),
    RULE(mq_timedreceive, ALWAYS, 0, 0),
    RULE(membarrier, ONLY_IS, 0, MEMBARRIER_CMD_GLOBAL),
    RULE(clone, ONLY_ANY, 0, CLONE_VFORK),
    RULE(clone3, ALWAYS, 0, 0),
    RULE(openat, ALWAYS, 0, 0),
    RULE(openat2, ALWAYS, 0, 0),
    RULE(copy_file_range, ALWAYS, 0, 0),
    RULE(getdents64, ALWAYS, 0, 0),
    RULE(newfstatat, ALWAYS, 0, 0),
    RULE(statx, ALWAYS, 0, 0),
    RULE(renameat2, ALWAYS, 0, 0),
    RULE(unlinkat, ALWAYS, 0, 0),
    RULE(mkdirat, ALWAYS, 0, 0),
    RULE(linkat, ALWAYS, 0, 0),
    RULE(symlinkat, ALWAYS, 0, 0),
    RULE(readlinkat, ALWAYS, 0, 0),
    RULE(ftruncate, ALWAYS, 0, 0),
    RULE(fallocate, ALWAYS, 0, 0),
#ifdef SYS_poll /* the older ones are x86-64's alone */
    RULE(poll, UNLESS_IS, 2, 0),
    RULE(select, ALWAYS, 0, 0),
    RULE(epoll_wait, UNLESS_IS, 3, 0),
    RULE(pause, ALWAYS, 0, 0),
    RULE(vfork, ALWAYS, 0, 0),
    RULE(open, ALWAYS, 0, 0),
#endif
#ifdef SYS_futex_waitv
    RULE(futex_waitv, ALWAYS, 0, 0),
#endif
};

enum {
    RULES = sizeof(rules) / sizeof(rules[0]),
    CODE_MAX = 6 * RULES + 16
};

struct code {
    struct sock_filter at[CODE_MAX];
    unsigned short n;
};

static const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
static const struct sock_filter ask = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);

static void add(struct code *c, struct sock_filter one)
{
    c->at[c->n++] = one;
}

static struct sock_filter load(size_t offset)
{
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static struct sock_filter jump(unsigned how, uint32_t value, uint8_t yes, uint8_t no)
{
    return (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | how | BPF_K), value, yes, no);
}

static size_t low_half(unsigned arg) /* of the 64 bits; both machines are little-endian */
{
    return offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t);
}

static void add_rule(struct code *c, const struct rule *r)
{
    add(c, load(offsetof(struct seccomp_data, nr)));
    if (r->when == ALWAYS) {
        add(c, jump(BPF_JEQ, (uint32_t)r->nr, 0, 1));
    } else {
        bool unless = r->when == UNLESS_ANY || r->when == UNLESS_IS;
        bool is = r->when == UNLESS_IS || r->when == ONLY_IS;
        add(c, jump(BPF_JEQ, (uint32_t)r->nr, 0, 3));
        add(c, load(low_half(r->arg)));
        add(c, jump(is ? BPF_JEQ : BPF_JSET, r->value, unless, !unless));
    }
    add(c, ask);
}

static void add_futex(struct code *c) /* wakes and the like do not wait */
{
    static const uint32_t waits[] = {FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_LOCK_PI,
                                     FUTEX_WAIT_REQUEUE_PI, 13 /* FUTEX_LOCK_PI2 */};
    unsigned n = sizeof(waits) / sizeof(waits[0]);
    add(c, load(offsetof(struct seccomp_data, nr)));
    add(c, jump(BPF_JEQ, SYS_futex, 0, (uint8_t)(n + 4)));
    add(c, load(low_half(1)));
    add(c, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (uint32_t)FUTEX_CMD_MASK));
    for (unsigned i = 0; i < n; i++)
        add(c, jump(BPF_JEQ, waits[i], (uint8_t)(n - i), 0));
    add(c, allow);
    add(c, ask);
}

int trace_filter_install(void)
{
    struct code c = {.n = 0};
    add(&c, load(offsetof(struct seccomp_data, arch)));
    add(&c, jump(BPF_JEQ, ARCH, 1, 0));
    add(&c, allow);
    add_futex(&c);
    for (unsigned i = 1; i < RULES; i++)
        add_rule(&c, &rules[i]);
    add(&c, allow);

    struct sock_fprog program = {c.n, c.at};
    /* Killable: no signal interrupts a call because it is looked at. */
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    for (int tries = 0;; tries++) {
        long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
        if (fd >= 0)
            return (int)fd;
        if (errno == EACCES && tries < 4)
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        else if (errno == EINVAL && (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) != 0)
            flags &= ~SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        else
            return -errno;
    }
}

const char *trace_call_name(int nr)
{
    for (unsigned i = 0; i < RULES; i++) {
        if (rules[i].nr == nr)
            return rules[i].name;
    }
    return "?";
}
