/*
 * Child processes: other programs, started, talked to through pipes, waited for, signalled.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here. (For
 * functions of this program in processes of their own there is pirn_process_pool, in
 * pirn/executor.h.)
 */
#ifndef PIRN_PROCESS_H
#define PIRN_PROCESS_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/*
 * A handle of a child process, counted by reference. (asyncio's Process, Tokio's Child.)
 *
 * A child belongs to its handle: when the last reference goes while it runs, it is killed, and
 * reaped in the background, unless PIRN_PROCESS_LEAVE says that it goes on. So who gives up, for an
 * error, a cancel or the end of the runtime, and releases its handle, leaves no child behind. (What
 * that has started is its own affair, unless it leads a group, by PIRN_PROCESS_NEW_GROUP or
 * _SESSION: then all of that is killed.) Nothing else ends a child: neither the end of a run nor
 * that of the program.
 *
 * Reaped are the children made here and no others, each by its own descriptor. wait(2) of this
 * program for any child, or SIGCHLD being ignored (SA_NOCLDWAIT included), takes away how they
 * ended: pirn_process_wait then says -ECHILD. In a fork's child a handle is good for nothing but
 * pirn_process_release; else -ESHUTDOWN.
 */
typedef struct pirn_process pirn_process;

/* What the child has as standard input, output, error: a descriptor of this program (>= 0; it stays
 * the caller's, and may be closed after the spawn), or one of these. */
enum {
    PIRN_STDIO_INHERIT = -1, /* this program's */
    PIRN_STDIO_PIPE = -2,    /* a pipe, whose other end is pirn_process_in, _out, _err */
    PIRN_STDIO_NULL = -3,    /* /dev/null */
    PIRN_STDIO_OUT = -4      /* error only: the same as its output */
};

enum {
    PIRN_PROCESS_NEW_GROUP =
        1u << 0, /* leads a process group of its own: no SIGINT of the terminal */
    PIRN_PROCESS_NEW_SESSION = 1u << 1, /* leads a session, and a group: no terminal at all */
    PIRN_PROCESS_LEAVE = 1u << 2,       /* goes on when the last reference goes */
};

typedef struct pirn_process_config {
    size_t size;            /* sizeof(pirn_process_config), set by PIRN_PROCESS_CONFIG_INIT */
    unsigned flags;         /* PIRN_PROCESS_NEW_GROUP, ... */
    int in, out, err;       /* PIRN_STDIO_INHERIT, ... */
    const char *file;       /* the program, if it is not argv[0]; NULL: argv[0] */
    const char *const *env; /* "NAME=value", then NULL; NULL: this program's */
    const char *cwd;        /* where it starts; NULL: where this program is */
    const int *fds;         /* of this program, for the child to have as 3, 4, ... */
    size_t fd_count;        /* 1000 at most */
    const pirn_stream_config *streams; /* of the pipes; NULL: the defaults */
} pirn_process_config;

#define PIRN_PROCESS_CONFIG_INIT \
    { \
        sizeof(pirn_process_config), 0, PIRN_STDIO_INHERIT, PIRN_STDIO_INHERIT, \
            PIRN_STDIO_INHERIT, NULL, NULL, NULL, NULL, 0, NULL \
    }

/*
 * Starts a program with the arguments argv (the last is followed by NULL), as they are: no shell
 * looks at them. A name without a slash is looked for along this program's PATH, one with a slash
 * starts from config->cwd if it is relative. config may be NULL. *ret_process is a reference the
 * caller owns. When this returns the program has begun, and nothing that was given is needed any
 * more.
 *
 * The child has its three standard descriptors and config->fds, and no other: no end of another
 * child's pipe, and nothing that was opened without O_CLOEXEC. No signal is blocked in it, SIGPIPE
 * and SIGXFSZ are as by default, other ignored signals stay ignored.
 *
 * [anywhere; suspends: the work is done on the pool of pirn_blocking; a plain thread does it
 * itself, whatever the deadline]
 * -ENOENT (also: there is no config->cwd), -EACCES, -ENOEXEC, -E2BIG, ...: as execve(2) says; no
 * process is left. -EBADF (of config), -EMFILE, -ENFILE, -EAGAIN, -ENOMEM, -EINVAL, -ESHUTDOWN.
 * Cancelled, or late: -ECANCELED, -ETIMEDOUT; a child that had begun by then has been killed, and
 * is reaped.
 *
 * A program that asks to be killed with its parent (PR_SET_PDEATHSIG) dies with the thread that
 * started it: a thread of the pool ends when it has been idle for ten seconds.
 */
PIRN_API PIRN_MUST_USE int pirn_process_spawn(pirn_process **ret_process, const char *const argv[],
                                              const pirn_process_config *config,
                                              pirn_time deadline);
/* The same with `/bin/sh -c command`; config->file is another shell. A kill is the shell's alone;
 * for what it has started as well see PIRN_PROCESS_NEW_GROUP and pirn_process_signal_group. */
PIRN_API PIRN_MUST_USE int pirn_process_shell(pirn_process **ret_process, const char *command,
                                              const pirn_process_config *config,
                                              pirn_time deadline);

PIRN_API pirn_process *pirn_process_retain(pirn_process *process); /* [anywhere] */
PIRN_API void pirn_process_release(pirn_process *process); /* see above; NULL: nothing [anywhere] */

PIRN_API pid_t pirn_process_pid(const pirn_process *process); /* [anywhere] */

/* The far end of what is PIRN_STDIO_PIPE, as a stream: one to write to, and two to read from.
 * Borrowed; the handle has a reference, and gives it up with its own end. NULL: it is something
 * else. [anywhere] */
PIRN_API pirn_stream *pirn_process_in(const pirn_process *process);
PIRN_API pirn_stream *pirn_process_out(const pirn_process *process);
PIRN_API pirn_stream *pirn_process_err(const pirn_process *process);

/*
 * Waits until the child has ended. [anywhere; suspends] 0, and *ret_status is what it gave to exit
 * (0 to 255), or minus the number of the signal that ended it. Any number of callers, then and
 * later, get the same. -ETIMEDOUT, -ECANCELED: it goes on, and can be waited for again. -ECHILD: it
 * has ended, and nobody knows how (see above). -EINVAL, -ESHUTDOWN.
 * A child that fills a pipe which nobody reads never ends: pirn_process_communicate.
 */
PIRN_API PIRN_MUST_USE int pirn_process_wait(pirn_process *process, int *ret_status,
                                             pirn_time deadline);
/* The same without waiting: -EINPROGRESS while it runs (asyncio's returncode). [anywhere] */
PIRN_API PIRN_MUST_USE int pirn_process_status(pirn_process *process, int *ret_status);

typedef struct pirn_process_output {
    char *out, *err; /* with a NUL behind; each is the caller's to free(3). NULL: it was no pipe */
    size_t out_len, err_len;
    int status; /* as of pirn_process_wait */
} pirn_process_output;

/*
 * Writes the n bytes of input to the child and then their end, reads its output and its errors up
 * to their ends, all at the same time, and waits until it has ended. What is no pipe is left alone.
 * limit: how much each of the two may be; 0: anything. [coroutine; suspends] 0, and *ret_output is
 * filled in (NULL: nobody wants it).
 * A child that does not read its input is no error. -EMSGSIZE: one is longer than the limit. After
 * that, -ETIMEDOUT, -ECANCELED and -ENOMEM nothing is lost, and the child goes on: called again
 * with the same input, it goes on where it was. -ECHILD, -ESHUTDOWN as of pirn_process_wait;
 * -EBUSY: one of the streams is being read, or somebody communicates; -EBADF: one has been closed;
 * -EINVAL, -EPERM, -EAGAIN (max_tasks).
 */
PIRN_API PIRN_MUST_USE int pirn_process_communicate(pirn_process *process, const void *input,
                                                    size_t n, pirn_process_output *ret_output,
                                                    size_t limit, pirn_time deadline);

/*
 * Sends it a signal; never another process that has got its number. [anywhere] 0, -ESRCH (it has
 * ended), -EINVAL, -EPERM. _terminate is SIGTERM, _kill SIGKILL. _signal_group is for all of the
 * group that the child leads, its own children included, also when it has ended itself (0 even if
 * nobody else is left: as long as there is a handle, a group's leader stays in the process table).
 * -EINVAL: it leads none. Who wants what the leader has left behind to end says so before the
 * release, which kills a group only while its leader runs.
 */
PIRN_API int pirn_process_signal(pirn_process *process, int signal);
PIRN_API int pirn_process_signal_group(pirn_process *process, int signal);
PIRN_API int pirn_process_terminate(pirn_process *process);
PIRN_API int pirn_process_kill(pirn_process *process);

/*
 * Ends it: asks it to (SIGTERM, to all of its group if it leads one), waits, and kills it (SIGKILL,
 * likewise) if it still runs at the deadline or when the caller is cancelled. It has ended when
 * this returns, and *ret_status is as of pirn_process_wait. [anywhere; suspends] 0: it ended in
 * time, or had before; -ETIMEDOUT, -ECANCELED: it was killed. Others as of a wait and a signal:
 * -ECHILD, -EPERM (it runs on), -EINVAL; -ESHUTDOWN: it was killed, and not waited for. What is
 * left of a group whose leader ended in time has been asked, and no more. (Go's Cmd.Cancel with
 * WaitDelay.)
 */
PIRN_API int pirn_process_stop(pirn_process *process, int *ret_status, pirn_time deadline);

#endif
