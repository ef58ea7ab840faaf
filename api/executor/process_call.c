/*
 * A call of a process pool, as programs make it: submits a job and waits for it.
 */
#include <errno.h>
#include <string.h>

#include "api/executor/process.h"
#include "runtime/wait.h"

int pirn_process_call(pirn_process_pool *pool, pirn_process_fn fn, const void *in, size_t in_len,
                      void *out, size_t out_cap, size_t *ret_out_len, int *ret_status,
                      pirn_time deadline)
{
    struct wait w;
    struct process_job *job;
    int fate = 0;
    if (pool == NULL || fn == NULL || (in == NULL && in_len != 0) || (out == NULL && out_cap != 0))
        return -EINVAL;
    int rc = pirn_wait_enter(&w);
    if (rc == 0)
        rc = pirn_process_submit(&job, pool, fn, in, in_len, out_cap);
    if (rc != 0)
        return rc;
    rc = pirn_future_await(job->done, &fate, NULL, deadline);
    if (rc != 0) {
        pirn_process_job_give_up(job);
    } else if (fate != 0) {
        rc = fate;
    } else {
        if (out != NULL) /* else there is nothing */
            memcpy(out, job->out, job->reply.out_len);
        if (ret_out_len != NULL)
            *ret_out_len = job->reply.out_len;
        if (ret_status != NULL)
            *ret_status = job->reply.status;
    }
    pirn_process_job_release(job);
    return rc;
}
