/*
 * Input and output of a child all at once.
 *
 *   1. All of the input is given to the stream, which keeps what the pipe does not take
 *   2. Three things go on side by side, in a scope: the input's end (once it has been sent), the
 *      errors, and the output, which the caller reads itself
 *   3. The child's end is waited for
 *
 * What one of them has come to when another fails, or the caller is stopped, is kept with the
 * handle (struct talk): another call goes on from there. A stream that is read to its end keeps
 * what it has until then.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/process/process.h"
#include "runtime/debug.h"
#include "runtime/wait.h"

enum {
    OUT,
    ERR
};

struct conversation {
    pirn_process *p;
    size_t limit;
    pirn_time deadline;
};

/* The child need not have read it: then the pipe is broken, or it was closed before. */
static bool is_unread(int rc)
{
    return rc == -EPIPE || rc == -EBADF;
}

static int give_input(pirn_process *p, const char *input, size_t n)
{
    struct talk *t = &p->talk;
    if (p->streams[0] == NULL || t->given >= n)
        return 0;
    ssize_t taken = pirn_stream_write(p->streams[0], input + t->given, n - t->given);
    if (taken < 0)
        return is_unread((int)taken) ? 0 : (int)taken;
    t->given += (size_t)taken;
    return t->given == n ? 0 : -ENOMEM;
}

static int end_input(void *arg)
{
    const struct conversation *c = arg;
    int rc = pirn_stream_end(c->p->streams[0], c->deadline);
    return is_unread(rc) ? 0 : rc;
}

static int read_one(const struct conversation *c, int which)
{
    struct talk *t = &c->p->talk;
    char *data;
    if (c->p->streams[1 + which] == NULL || t->got[which].data != NULL)
        return 0;
    ssize_t n = pirn_stream_read_all(c->p->streams[1 + which], &data, c->limit, c->deadline);
    if (n < 0)
        return (int)n;
    t->got[which].data = data;
    t->got[which].len = (size_t)n;
    return 0;
}

static int read_errors(void *arg)
{
    return read_one(arg, ERR);
}

static int move_all(struct conversation *c)
{
    pirn_scope *scope;
    int rc = pirn_scope_open(&scope, 0);
    if (rc != 0)
        return rc;
    if (c->p->streams[0] != NULL)
        rc = pirn_scope_spawn(scope, end_input, c, PIRN_NEVER);
    if (rc == 0 && c->p->streams[2] != NULL)
        rc = pirn_scope_spawn(scope, read_errors, c, PIRN_NEVER);
    if (rc == 0)
        rc = read_one(c, OUT);
    if (rc < 0)
        pirn_scope_fail(scope, rc);
    return pirn_scope_close(scope, PIRN_NEVER);
}

static int communicate(struct conversation *c, const void *input, size_t n, int *ret_status)
{
    int rc = give_input(c->p, input, n);
    if (rc == 0)
        rc = move_all(c);
    return rc == 0 ? pirn_process_wait(c->p, ret_status, c->deadline) : rc;
}

static void hand_over(struct talk *t, int status, pirn_process_output *ret_output)
{
    *ret_output = (pirn_process_output){t->got[OUT].data, t->got[ERR].data, t->got[OUT].len,
                                        t->got[ERR].len, status};
    t->got[OUT].data = t->got[ERR].data = NULL;
    t->got[OUT].len = t->got[ERR].len = 0;
}

int pirn_process_communicate(pirn_process *process, const void *input, size_t n,
                             pirn_process_output *ret_output, size_t limit, pirn_time deadline)
{
    struct conversation c = {process, limit != 0 ? limit : SIZE_MAX, deadline};
    struct wait w;
    int status;
    if (process == NULL || (n != 0 && (input == NULL || process->streams[0] == NULL)))
        return pirn_misuse(__func__, -EINVAL,
                           process == NULL || input == NULL ? MISUSE_NULL
                                                            : "the child's input is no pipe");
    if (pirn_current() == NULL)
        return pirn_misuse(__func__, -EPERM, MISUSE_NO_COROUTINE);
    if (process->owner != getpid())
        return -ESHUTDOWN;        /* before anything is taken from the pipes, which both have */
    int rc = pirn_wait_enter(&w); /* before any of the input is given */
    if (rc != 0)
        return rc;
    /* acquire: pairs with the release of the clear */
    if (atomic_flag_test_and_set_explicit(&process->busy, memory_order_acquire))
        return -EBUSY;
    rc = communicate(&c, input, n, &status);
    if (rc == 0 && ret_output != NULL)
        hand_over(&process->talk, status, ret_output);
    /* release: pairs with the acquire of the next one's test-and-set */
    atomic_flag_clear_explicit(&process->busy, memory_order_release);
    return rc;
}
