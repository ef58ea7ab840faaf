/*
 * Requests; see request.h.
 */
#include "api/file/request.h"

#include <errno.h>
#include <stdatomic.h>

#include "runtime/job.h"
#include "runtime/runtime.h"

/* Bits: kinds that the ring has refused and the system call has not. Anybody, relaxed: a hint. */
static _Atomic uint64_t unknown;

static uint64_t bit(enum op_kind kind)
{
    return (uint64_t)1 << kind;
}

static bool is_known(enum op_kind kind)
{
    return kind != OP_KINDS &&
           (atomic_load_explicit(&unknown, memory_order_relaxed) & bit(kind)) == 0;
}

static int submit(struct wait *w, const struct request *r, pirn_time deadline)
{
    struct op *op = &w->task->op;
    op->kind = (uint8_t)r->kind;
    op->addr = address_of(r->addr);
    op->len = r->len;
    op->flags = r->flags;
    op->off = r->off;
    return pirn_wait_op(w, r->what, r->fd, deadline.ns);
}

static ssize_t call(const struct request *r)
{
    ssize_t n;
    do {
        n = r->call(r);
    } while (n == -EINTR);
    return n;
}

/* On a thread of the pool. */
struct errand {
    const struct request *request;
    ssize_t result;
};

static int run(void *arg)
{
    struct errand *e = arg;
    e->result = call(e->request);
    return 0;
}

static ssize_t call_on_pool(struct pirn_task *t, const struct request *r, pirn_time deadline)
{
    struct errand e = {r, 0};
    int rc = pirn_job_call(t->rt->blocking, run, &e, NULL, deadline.ns);
    return rc != 0 ? rc : e.result;
}

ssize_t pirn_file_request(const struct request *r, pirn_time deadline)
{
    struct wait w;
    bool asked = false;
    ssize_t n = pirn_wait_enter(&w);
    if (n != 0)
        return n;
    if (w.task == NULL)
        return call(r);
    if (is_known(r->kind)) {
        n = submit(&w, r, deadline);
        if (n != -EINVAL || r->kind < OP_NEWER)
            return n;
        asked = true;
    }
    n = call_on_pool(w.task, r, deadline);
    if (asked && n >= 0)
        atomic_fetch_or_explicit(&unknown, bit(r->kind), memory_order_relaxed);
    return n;
}

int pirn_file_refuse(int error)
{
    struct wait w;
    int rc = pirn_wait_enter(&w);
    return rc != 0 ? rc : error;
}
