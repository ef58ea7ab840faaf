/*
 * A job of a process pool: what it takes along and brings back, and how it is carried.
 *
 * It is on the heap, with a copy of its input and room for its output, so that a caller that gives
 * up can leave at once, whatever the worker is doing. One word decides whether a job begins or has
 * been given up before; whether its answer or a cancel was first is decided like every settling.
 *
 * Rejected: that the calling coroutine writes and reads the worker's socket itself. One that is
 * cancelled would leave half a request behind, or an answer that nobody reads, and somebody would
 * have to go on for it before the worker can be used again; on a plain thread there is nobody.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/executor/process.h"
#include "io/sys.h"

/* relaxed: what the winner goes on to touch came to it by the pool's lock, or is its own */
static bool leave_queue(struct process_job *job, enum job_state to)
{
    uint32_t queued = JOB_QUEUED;
    return atomic_compare_exchange_strong_explicit(&job->state, &queued, to, memory_order_relaxed,
                                                   memory_order_relaxed);
}

static int cancel(struct object *o, const char *reason)
{
    struct process_job *job = (struct process_job *)(void *)o;
    (void)reason;
    if (leave_queue(job, JOB_GIVEN_UP)) {
        free(job->in); /* it may lie in the queue for long */
        free(job->out);
        job->in = job->out = NULL;
    }
    return pirn_object_settle(o, -ECANCELED, NULL, NULL);
}

static bool has_begun(const struct object *o)
{
    const struct process_job *job = (const struct process_job *)(const void *)o;
    return atomic_load_explicit(&job->state, memory_order_relaxed) == JOB_BEGUN;
}

static void free_job(struct object *o)
{
    struct process_job *job = (struct process_job *)(void *)o;
    free(job->in);
    free(job->out);
    free(job);
}

int pirn_process_job_new(struct process_job **ret_job, pirn_process_fn fn, const void *in,
                         size_t in_len, size_t out_cap)
{
    static const struct object_ops ops = {cancel, free_job, NULL, false, has_begun};
    if (in_len > SSIZE_MAX || out_cap > SSIZE_MAX)
        return -EINVAL;
    struct process_job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return -ENOMEM;
    pirn_object_init(&job->base, PIRN_KIND_JOB, &ops);
    job->in = malloc(in_len + 1);
    job->out = malloc(out_cap + 1); /* untouched until there is something to put there */
    atomic_init(&job->state, JOB_QUEUED);
    job->request = (struct process_request){(uint64_t)(uintptr_t)fn, in_len, out_cap};
    if (job->in == NULL || job->out == NULL) {
        pirn_process_job_release(job);
        return -ENOMEM;
    }
    if (in_len != 0)
        memcpy(job->in, in, in_len);
    *ret_job = job;
    return 0;
}

void pirn_process_job_release(struct process_job *job)
{
    pirn_awaitable_unref(&job->base.base);
}

bool pirn_process_job_begin(struct process_job *job)
{
    return leave_queue(job, JOB_BEGUN);
}

void pirn_process_job_end(struct process_job *job, int rc)
{
    int status = rc == 0 ? job->reply.status : rc;
    job->result = (pirn_process_result){job->reply.out_len, job->out};
    if (pirn_object_settle_and_unref(&job->base, status, rc == 0 ? &job->result : NULL, NULL) != 0)
        pirn_process_job_release(job); /* it was cancelled */
}

/* ---- To the worker and back -------------------------------------------------------------- */

/* The rest of a head and a body, of which `done` bytes have been moved. */
static int rest(struct iovec *iov, void *head, size_t head_len, char *body, uint64_t body_len,
                uint64_t done)
{
    int n = 0;
    if (done < head_len)
        iov[n++] = (struct iovec){(char *)head + done, head_len - done};
    done = done > head_len ? done - head_len : 0;
    if (body_len > done)
        iov[n++] = (struct iovec){body + done, body_len - done};
    return n;
}

static int send_request(struct worker_process *p)
{
    struct process_job *job = p->job;
    for (;;) {
        struct iovec iov[2];
        struct msghdr msg = {.msg_iov = iov};
        msg.msg_iovlen = (size_t)rest(iov, &job->request, sizeof(job->request), job->in,
                                      job->request.in_len, p->done);
        if (msg.msg_iovlen == 0)
            return 0;
        ssize_t n = sys_sendmsg(p->socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n == -EAGAIN)
            return -EAGAIN;
        if (n < 0 && n != -EINTR)
            return -EPIPE;
        p->done += n > 0 ? (uint64_t)n : 0;
    }
}

static int receive_reply(struct worker_process *p)
{
    struct process_job *job = p->job;
    for (;;) {
        struct iovec iov[2];
        bool head = p->done < sizeof(job->reply);
        if (!head && (job->reply.out_len > job->request.out_cap || job->reply.error > 0))
            return -EPIPE; /* a worker that talks nonsense: its job has trampled on it */
        int n = rest(iov, &job->reply, sizeof(job->reply), job->out, head ? 0 : job->reply.out_len,
                     p->done);
        if (n == 0)
            return 0;
        ssize_t got = sys_recv(p->socket, iov[0].iov_base, iov[0].iov_len, MSG_DONTWAIT);
        if (got == -EAGAIN)
            return -EAGAIN;
        if (got == 0 || (got < 0 && got != -EINTR))
            return -EPIPE;
        p->done += got > 0 ? (uint64_t)got : 0;
    }
}

int pirn_process_carry(struct worker_process *p)
{
    if (!p->sent) {
        int rc = send_request(p);
        if (rc != 0)
            return rc;
        p->sent = true;
        p->done = 0;
    }
    return receive_reply(p);
}
