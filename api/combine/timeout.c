/*
 * Timeouts: a bound around a stretch of a task (bound.h), which an alarm hits when the time has
 * come.
 *
 * The public struct lies on the task's stack and may be gone when the alarm fires, so what the
 * alarm needs is on the heap, counted: one reference is the entered timeout's, one the alarm's as
 * long as it is armed (who disarms it takes that one over), and whoever reschedules takes one.
 *
 *   fire         under the mutex: fired; then it hits the bound
 *   reschedule   under the mutex: disarms; if that fails it is firing, -EINVAL. Then it hits the
 *                bound itself: who was told that the time has come finds it so
 *   leave        closes the bound: a hit that comes later does nothing, so whether it was hit is
 *                decided there. Then, under the mutex: left, and the alarm is disarmed
 *
 * Field                          who may touch it
 * struct timeout: lock           guards state, inside
 * struct inside: mutex           guards fired, left, deadline, and the alarm's being armed (a
 *                                mutex: to arm may wake a worker)
 * bound                          see bound.h
 */
#include <errno.h>
#include <pirn.h>
#include <pthread.h>
#include <stdlib.h>

#include "io/clock.h"
#include "runtime/alarm.h"
#include "runtime/bound.h"
#include "runtime/debug.h"
#include "runtime/runtime.h"
#include "runtime/self.h"
#include "runtime/wait.h"

#define NOT_ENTERED "it is not entered, or has been left"

enum state {
    FRESH,
    ENTERED,
    LEFT,
    LEFT_EXPIRED
};

struct inside {
    struct alarm alarm; /* first */
    struct bound bound;
    pthread_mutex_t mutex;
    _Atomic uint32_t refs;
    bool fired, left;
    int64_t deadline;
};

struct timeout {
    struct lock lock;
    uint8_t state; /* enum state */
    struct inside *inside;
} __attribute__((may_alias)); /* the program sees words of another type */

_Static_assert(sizeof(struct timeout) <= sizeof(pirn_timeout), "the public struct is too small");

static struct timeout *of(pirn_timeout *timeout)
{
    return (struct timeout *)(void *)timeout;
}

static void unref(struct inside *in)
{
    /* acq_rel: everybody's last use comes before the free */
    if (atomic_fetch_sub_explicit(&in->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&in->mutex);
        free(in);
    }
}

/* The entered timeout's, with a reference; NULL: it is not entered. */
static struct inside *look_inside(pirn_timeout *timeout)
{
    lock_take(&of(timeout)->lock);
    struct inside *in = of(timeout)->inside;
    if (in != NULL)
        atomic_fetch_add_explicit(&in->refs, 1, memory_order_relaxed);
    lock_drop(&of(timeout)->lock);
    return in;
}

static enum state state_of(pirn_timeout *timeout)
{
    lock_take(&of(timeout)->lock);
    enum state state = of(timeout)->state;
    lock_drop(&of(timeout)->lock);
    return state;
}

static void become(pirn_timeout *timeout, enum state state, struct inside *in)
{
    lock_take(&of(timeout)->lock);
    of(timeout)->state = (uint8_t)state;
    of(timeout)->inside = in;
    lock_drop(&of(timeout)->lock);
}

static void fire(struct alarm *a)
{
    struct inside *in = (struct inside *)(void *)a;
    pthread_mutex_lock(&in->mutex);
    in->fired = true;
    pthread_mutex_unlock(&in->mutex);
    pirn_bound_hit(&in->bound, "timeout");
    unref(in);
}

/* It is not armed; under the mutex. */
static int arm(struct inside *in, int64_t deadline)
{
    in->deadline = deadline;
    if (deadline == INT64_MAX)
        return 0;
    atomic_fetch_add_explicit(&in->refs, 1, memory_order_relaxed);
    int rc = pirn_alarm_arm(&in->alarm, in->bound.task->rt, deadline);
    if (rc != 0) {
        atomic_fetch_sub_explicit(&in->refs, 1, memory_order_relaxed);
        in->deadline = INT64_MAX;
    }
    return rc;
}

/* Under the mutex. False: it fires. */
static bool disarm(struct inside *in)
{
    if (in->fired)
        return false;
    if (in->deadline == INT64_MAX)
        return true;
    if (!pirn_alarm_disarm(&in->alarm))
        return false;
    atomic_fetch_sub_explicit(&in->refs, 1, memory_order_relaxed); /* not the last one */
    return true;
}

static struct inside *make(int64_t deadline)
{
    struct inside *in = malloc(sizeof(*in));
    if (in == NULL)
        return NULL;
    pirn_alarm_init(&in->alarm, fire);
    pthread_mutex_init(&in->mutex, NULL);
    atomic_init(&in->refs, 1);
    in->fired = deadline <= clock_now();
    in->left = false;
    in->deadline = deadline;
    return in;
}

static int enter(const char *call, pirn_timeout *timeout, pirn_time deadline)
{
    struct pirn_task *t = pirn_current_task();
    if (t == NULL)
        return pirn_misuse(call, -EPERM, MISUSE_NO_COROUTINE);
    if (timeout == NULL)
        return pirn_misuse(call, -EINVAL, MISUSE_NULL);
    if (state_of(timeout) != FRESH)
        return pirn_misuse(call, -EINVAL,
                           "it has been entered before: each time is a PIRN_TIMEOUT_INIT's");
    struct inside *in = make(deadline.ns);
    if (in == NULL)
        return -ENOMEM;
    int rc = pirn_bound_enter(&in->bound, t);
    if (rc != 0) {
        unref(in);
        return rc;
    }
    pthread_mutex_lock(&in->mutex);
    bool past = in->fired;
    if (!past)
        rc = arm(in, deadline.ns);
    pthread_mutex_unlock(&in->mutex);
    if (rc != 0) {
        pirn_bound_leave(&in->bound);
        unref(in);
        return rc;
    }
    if (past)
        pirn_bound_hit(&in->bound, "timeout");
    become(timeout, ENTERED, in);
    return 0;
}

int pirn_timeout_enter(pirn_timeout *timeout, pirn_time deadline)
{
    return enter(__func__, timeout, deadline);
}

int pirn_timeout_leave(pirn_timeout *timeout, int status)
{
    struct pirn_task *t = pirn_current_task();
    struct inside *in = timeout != NULL ? look_inside(timeout) : NULL;
    if (in == NULL)
        return pirn_misuse(__func__, -EINVAL, NOT_ENTERED);
    bool mine = t != NULL && in->bound.task == t;
    bool asked = mine && pirn_bound_saw_request(&in->bound);
    int rc = mine ? pirn_bound_leave(&in->bound) : -EPERM;
    if (rc != 0) {
        unref(in);
        return pirn_misuse(__func__, rc,
                           rc == -EPERM
                               ? "another task has entered it"
                               : "a timeout or scope that was opened inside it is still open");
    }
    bool expired = bound_is_hit(&in->bound);
    become(timeout, expired ? LEFT_EXPIRED : LEFT, NULL);
    pthread_mutex_lock(&in->mutex);
    in->left = true;
    disarm(in);
    pthread_mutex_unlock(&in->mutex);
    unref(in);
    unref(in); /* the entered timeout's */
    if (status != -ECANCELED || !expired)
        return status;
    if (asked)
        task_take_cancel(t); /* the request has been told now, if it was not before */
    return asked || pirn_task_relevel(t) ? status : -ETIMEDOUT;
}

int pirn_timeout_reschedule(pirn_timeout *timeout, pirn_time deadline)
{
    struct inside *in = timeout != NULL ? look_inside(timeout) : NULL;
    if (in == NULL && timeout != NULL && state_of(timeout) != FRESH)
        return -EINVAL; /* as below: its task has left it, meanwhile perhaps */
    if (in == NULL)
        return pirn_misuse(__func__, -EINVAL, timeout == NULL ? MISUSE_NULL : "it is not entered");
    bool past = deadline.ns <= clock_now();
    pthread_mutex_lock(&in->mutex);
    bool late = in->left || !disarm(in);
    int rc = late ? -EINVAL : 0; /* no mistake */
    if (rc == 0 && past) {
        in->fired = true;
        in->deadline = deadline.ns;
    } else if (rc == 0) {
        rc = arm(in, deadline.ns);
    }
    pthread_mutex_unlock(&in->mutex);
    /* As by an enter: the next call that might suspend fails. After it has been left this does
     * nothing. */
    if (late || (rc == 0 && past))
        pirn_bound_hit(&in->bound, "timeout");
    unref(in);
    return rc;
}

pirn_time pirn_timeout_when(pirn_timeout *timeout)
{
    pirn_time when = PIRN_NOW;
    struct inside *in = timeout != NULL ? look_inside(timeout) : NULL;
    if (in == NULL)
        return when;
    pthread_mutex_lock(&in->mutex);
    when.ns = in->deadline;
    pthread_mutex_unlock(&in->mutex);
    unref(in);
    return when;
}

bool pirn_timeout_expired(pirn_timeout *timeout)
{
    if (timeout == NULL)
        return false;
    lock_take(&of(timeout)->lock);
    struct inside *in = of(timeout)->inside;
    bool expired = in != NULL ? bound_is_hit(&in->bound) : of(timeout)->state == LEFT_EXPIRED;
    lock_drop(&of(timeout)->lock);
    return expired;
}

int pirn_with_timeout(pirn_fn fn, void *arg, pirn_time deadline)
{
    pirn_timeout timeout = PIRN_TIMEOUT_INIT;
    if (fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = enter(__func__, &timeout, deadline);
    return rc == 0 ? pirn_timeout_leave(&timeout, fn(arg)) : rc;
}
