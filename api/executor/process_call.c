/*
 * Jobs of a process pool, as programs submit them; and a call, which submits one and waits for it.
 */
#include <errno.h>
#include <string.h>

#include "api/executor/process.h"
#include "runtime/debug.h"
#include "runtime/wait.h"

static int submit(struct process_job **ret_job, pirn_process_pool *pool, pirn_process_fn fn,
                  const void *in, size_t in_len, size_t out_cap)
{
    struct process_job *job;
    int rc = pirn_process_job_new(&job, fn, in, in_len, out_cap);
    if (rc != 0)
        return rc;
    rc = pirn_process_enqueue(pool, job);
    if (rc != 0)
        pirn_process_job_release(job);
    else
        *ret_job = job;
    return rc;
}

int pirn_process_submit(pirn_process_pool *pool, pirn_job **ret_job, pirn_process_fn fn,
                        const void *in, size_t in_len, size_t out_cap)
{
    struct process_job *job;
    if (pool == NULL || fn == NULL || (in == NULL && in_len != 0))
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = submit(&job, pool, fn, in, in_len, out_cap);
    if (rc != 0)
        return rc;
    if (ret_job != NULL)
        *ret_job = &job->base.base;
    else
        pirn_process_job_release(job);
    return 0;
}

int pirn_process_call(pirn_process_pool *pool, pirn_process_fn fn, const void *in, size_t in_len,
                      void *out, size_t out_cap, size_t *ret_out_len, int *ret_status,
                      pirn_time deadline)
{
    struct wait w;
    struct process_job *job;
    int status = 0;
    if (pool == NULL || fn == NULL || (in == NULL && in_len != 0) || (out == NULL && out_cap != 0))
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc == 0)
        rc = submit(&job, pool, fn, in, in_len, out_cap);
    if (rc != 0)
        return rc;
    rc = pirn_awaitable_await(&job->base.base, &status, deadline.ns, false);
    const pirn_process_result *result = rc == 0 ? pirn_awaitable_value(&job->base.base) : NULL;
    if (rc != 0) {
        pirn_awaitable_cancel(&job->base.base, NULL); /* nobody else has it */
    } else if (result == NULL) {
        rc = status;
    } else {
        if (out != NULL)
            memcpy(out, result->bytes, result->len);
        if (ret_out_len != NULL)
            *ret_out_len = result->len;
        if (ret_status != NULL)
            *ret_status = status;
    }
    pirn_process_job_release(job);
    return rc;
}
