/*
 * How a child is started.
 *
 *   1. The handle is made. A coroutine then has the rest done on the pool of its runtime's blocking
 *      calls, for it blocks until the program has been found and read; a plain thread does it
 *      itself
 *   2. Pipes and /dev/null are opened (close-on-exec, as everything here). What the child is to
 *      have is moved to numbers that no other descriptor of its will get; so it does not matter
 *      which is which
 *   3. posix_spawn: a child that shares the memory until it executes, and runs nothing but libc's
 *      own few calls: no lock of this program is ever copied in whatever state it is in. It puts
 *      the descriptors into their places, and closes all others
 *   4. A pidfd is opened. The number is still the child's: nobody has reaped it, unless the program
 *      waits for any child, or ignores SIGCHLD. Then waitid says that it is no child of ours
 *      (-ECHILD), and it counts as lost; so it is asked
 *   5. Who has been cancelled meanwhile, or is late, gets that, and the child is killed and reaped.
 *      The job is waited for in any case: what it works with is the caller's
 *
 * Rejected: fork and exec, because of the locks, and of the time that copying a large program's
 * page tables takes. clone with CLONE_PIDFD, which would make 4. exact: a bare clone is libc's to
 * make.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/process/process.h"
#include "api/stream/stream.h"
#include "io/sys.h"
#include "runtime/debug.h"
#include "runtime/job.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

enum {
    STDIO = 3,
    FDS_MAX = 1000,
    FLAGS = PIRN_PROCESS_NEW_GROUP | PIRN_PROCESS_NEW_SESSION | PIRN_PROCESS_LEAVE
};

struct launch {
    const char *const *argv;
    const pirn_process_config *config;
    pirn_process *p;
    int *theirs; /* STDIO and fd_count: what the child gets there; -1: what it has */
};

/* ---- Descriptors --------------------------------------------------------------------------- */

static int top(const struct launch *l)
{
    return STDIO + (int)l->config->fd_count;
}

/* A copy above those that the child gets: beyond what may be open at all there is none. */
static int copy_above(const struct launch *l, int fd)
{
    int copy = sys_fcntl(fd, F_DUPFD_CLOEXEC, top(l));
    return copy == -EINVAL ? -EMFILE : copy;
}

/* fd, which is ours to close, above those that the child gets. */
static int lift(const struct launch *l, int fd)
{
    if (fd < 0 || fd >= top(l))
        return fd;
    int lifted = copy_above(l, fd);
    sys_close(fd);
    return lifted;
}

static int open_pipe(struct launch *l, int i)
{
    int ends[2];
    int rc = sys_pipe2(ends, O_CLOEXEC);
    if (rc != 0)
        return rc;
    l->p->pipes[i] = ends[i == 0];
    return lift(l, ends[i != 0]);
}

static int open_one(struct launch *l, int i, int what)
{
    switch (what) {
    case PIRN_STDIO_PIPE:
        return open_pipe(l, i);
    case PIRN_STDIO_NULL:
        return lift(l, sys_openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0));
    default:
        return copy_above(l, what);
    }
}

static int open_all(struct launch *l)
{
    const pirn_process_config *c = l->config;
    const int stdio[STDIO] = {c->in, c->out, c->err};
    for (int i = 0; i < top(l); i++) {
        int what = i < STDIO ? stdio[i] : c->fds[i - STDIO];
        if (what == PIRN_STDIO_INHERIT || what == PIRN_STDIO_OUT)
            continue;
        int fd = open_one(l, i, what);
        if (fd < 0)
            return fd;
        l->theirs[i] = fd;
    }
    return 0;
}

static void close_all(struct launch *l)
{
    for (int i = 0; i < top(l); i++) {
        if (l->theirs[i] >= 0)
            sys_close(l->theirs[i]);
        l->theirs[i] = -1;
    }
}

/* ---- posix_spawn; it and its kin return a positive errno ------------------------------------- */

static int fill_actions(const struct launch *l, posix_spawn_file_actions_t *actions)
{
    const pirn_process_config *c = l->config;
    int rc = 0;
    for (int i = 0; i < top(l) && rc == 0; i++) {
        if (l->theirs[i] >= 0)
            rc = posix_spawn_file_actions_adddup2(actions, l->theirs[i], i);
    }
    if (rc == 0 && c->err == PIRN_STDIO_OUT)
        rc = posix_spawn_file_actions_adddup2(actions, 1, 2);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(actions, top(l));
    if (rc == 0 && c->cwd != NULL)
        rc = posix_spawn_file_actions_addchdir_np(actions, c->cwd);
    return -rc;
}

/* The threads of the pool have all signals blocked. What is ignored stays ignored (a nohup's
 * SIGHUP), but for what programs like this one ignore for their own good. */
static void fill_attr(const pirn_process_config *c, posix_spawnattr_t *attr)
{
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    posix_spawnattr_setsigmask(attr, &none);
    posix_spawnattr_setsigdefault(attr, &defaults);
    if ((c->flags & PIRN_PROCESS_NEW_SESSION) != 0)
        flags |= POSIX_SPAWN_SETSID;
    else if ((c->flags & PIRN_PROCESS_NEW_GROUP) != 0)
        flags |= POSIX_SPAWN_SETPGROUP; /* 0, by default: its own */
    posix_spawnattr_setflags(attr, flags);
}

static int execute(struct launch *l)
{
    const pirn_process_config *c = l->config;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    const char *file = c->file != NULL ? c->file : l->argv[0];
    char *const *env = c->env != NULL ? (char *const *)c->env : environ;
    int rc = -posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return rc;
    posix_spawnattr_init(&attr);
    fill_attr(c, &attr);
    rc = fill_actions(l, &actions);
    if (rc == 0)
        rc = sys_posix_spawnp(&l->p->pid, file, &actions, &attr, (char *const *)l->argv, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* ---- The child as a descriptor --------------------------------------------------------------- */

static void lose(pirn_process *p)
{
    if (p->pidfd >= 0)
        sys_close(p->pidfd);
    p->pidfd = -1;
    p->ended = p->lost = true;
}

static int open_pidfd(pirn_process *p)
{
    siginfo_t info;
    p->pidfd = sys_pidfd_open(p->pid, 0);
    if (p->pidfd == -ESRCH ||
        (p->pidfd >= 0 &&
         sys_waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == -ECHILD)) {
        lose(p);
        return 0;
    }
    if (p->pidfd >= 0)
        return 0;
    int rc = p->pidfd;
    p->pidfd = -1;
    /* No reaper has been near it, or it is gone: the number is good. Killed, it ends soon. */
    sys_kill(p->pid, SIGKILL);
    while (sys_waitid(P_PID, (id_t)p->pid, &info, WEXITED) == -EINTR) {}
    return rc;
}

static int launch(void *arg)
{
    struct launch *l = arg;
    pirn_orphans_look();
    int rc = open_all(l);
    if (rc == 0)
        rc = execute(l);
    close_all(l);
    return rc == 0 ? open_pidfd(l->p) : rc;
}

/* ---- From a coroutine, or a plain thread ----------------------------------------------------- */

/* The job's end, or what the wait for it has come to; then *ret_begun says if there is a child. */
static int launch_on_pool(struct wait *w, struct launch *l, bool *ret_begun, int64_t deadline)
{
    struct job *job;
    int status = 0;
    int rc = pirn_job_submit(&job, w->task->rt->blocking, launch, l, NULL, true);
    if (rc != 0)
        return rc;
    rc = pirn_awaitable_await(&job->base.base, &status, deadline, false);
    if (rc == 0) {
        rc = job->unrun ? -ESHUTDOWN : status;
        *ret_begun = rc == 0;
    } else {
        /* 0: the cancel does not stay pending, it is reported. */
        *ret_begun = !pirn_job_give_up(w, job, &status, 0) && status == 0;
    }
    pirn_awaitable_unref(&job->base.base);
    return rc;
}

static int make(pirn_process **ret_process, unsigned flags)
{
    pirn_process *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    atomic_init(&p->refs, 1);
    pthread_mutex_init(&p->lock, NULL);
    p->pidfd = p->pipes[0] = p->pipes[1] = p->pipes[2] = -1;
    atomic_flag_clear(&p->busy);
    p->owner = getpid();
    p->flags = flags;
    *ret_process = p;
    return 0;
}

static int make_streams(struct launch *l)
{
    pirn_process *p = l->p;
    for (int i = 0; i < STDIO; i++) {
        if (p->pipes[i] < 0)
            continue;
        int rc = pirn_stream_new(&p->streams[i], p->pipes[i], l->config->streams);
        if (rc != 0)
            return rc;
        p->pipes[i] = -1;
    }
    return 0;
}

static int spawn(struct wait *w, struct launch *l, int64_t deadline)
{
    bool begun = false;
    int rc = make(&l->p, l->config->flags);
    if (rc != 0)
        return rc;
    if (w->task != NULL) {
        rc = launch_on_pool(w, l, &begun, deadline);
    } else {
        rc = launch(l);
        begun = rc == 0;
    }
    if (rc == 0)
        rc = make_streams(l);
    if (rc == 0)
        return 0;
    l->p->flags &= ~(unsigned)PIRN_PROCESS_LEAVE;
    l->p->ended = l->p->ended || !begun;
    pirn_process_release(l->p);
    return rc;
}

static bool is_stdio(int what, bool err)
{
    return what >= PIRN_STDIO_NULL || (err && what == PIRN_STDIO_OUT);
}

static int check(const char *call, const char *const argv[], const pirn_process_config *c)
{
    if (argv == NULL || argv[0] == NULL)
        return pirn_misuse(call, -EINVAL, "argv is NULL, or empty");
    if (c->size != sizeof(*c) || (c->flags & ~FLAGS) != 0 || !is_stdio(c->in, false) ||
        !is_stdio(c->out, false) || !is_stdio(c->err, true) || c->fd_count > FDS_MAX ||
        (c->fds == NULL && c->fd_count != 0) ||
        (c->streams != NULL && pirn_stream_check(c->streams, 0) != 0))
        return pirn_misuse(
            call, -EINVAL,
            misuse_of_config(c->size, sizeof(*c),
                             "the config has an unknown flag or stdio, too many fds, "
                             "or a streams that is none"));
    for (size_t i = 0; i < c->fd_count; i++) {
        if (c->fds[i] < 0)
            return -EBADF;
    }
    return 0;
}

static int run(const char *call, pirn_process **ret_process, const char *const argv[],
               const pirn_process_config *config, pirn_time deadline)
{
    static const pirn_process_config defaults = PIRN_PROCESS_CONFIG_INIT;
    struct wait w;
    if (config == NULL)
        config = &defaults;
    int rc =
        ret_process != NULL ? check(call, argv, config) : pirn_misuse(call, -EINVAL, MISUSE_NULL);
    if (rc == 0)
        rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    struct launch l = {argv, config, NULL, malloc((STDIO + config->fd_count) * sizeof(int))};
    if (l.theirs == NULL)
        return -ENOMEM;
    for (int i = 0; i < top(&l); i++)
        l.theirs[i] = -1;
    rc = spawn(&w, &l, deadline.ns);
    free(l.theirs);
    if (rc == 0)
        *ret_process = l.p;
    return rc;
}

int pirn_process_spawn(pirn_process **ret_process, const char *const argv[],
                       const pirn_process_config *config, pirn_time deadline)
{
    return run(__func__, ret_process, argv, config, deadline);
}

int pirn_process_shell(pirn_process **ret_process, const char *command,
                       const pirn_process_config *config, pirn_time deadline)
{
    pirn_process_config shell = PIRN_PROCESS_CONFIG_INIT;
    if (command == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (config != NULL && config->size != sizeof(shell))
        return pirn_misuse(__func__, -EINVAL, misuse_of_config(config->size, sizeof(shell), ""));
    if (config != NULL)
        shell = *config;
    if (shell.file == NULL)
        shell.file = "/bin/sh";
    const char *const argv[] = {"sh", "-c", command, NULL};
    return run(__func__, ret_process, argv, &shell, deadline);
}
