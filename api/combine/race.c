/*
 * race and map: many coroutines for one call, which ends when they have.
 *
 * race takes its tasks in the order in which they end. map has at most `limit` runners, each of
 * which takes the next number: a task per runner, not one per number, which is cleaned up after
 * each. Either, when its caller is cancelled or out of time, cancels what it has started and waits
 * for the ends behind a shield.
 */
#include <errno.h>
#include <pirn.h>
#include <stdlib.h>

#include "api/combine/watch.h"
#include "runtime/awaitable.h"
#include "runtime/debug.h"
#include "runtime/task.h"
#include "runtime/wait.h"

/* Cancels the tasks and waits until they have ended, whatever happens. Not for ever if that fails:
 * only a shutdown past its grace makes it, and then the tasks fail too. */
static void end_all(pirn_task **tasks, size_t n, const char *reason)
{
    struct pirn_task *me = pirn_current_task();
    bool shielded = pirn_task_shield(me) == 0;
    for (size_t i = 0; i < n; i++)
        pirn_awaitable_cancel(tasks[i], reason);
    for (size_t i = 0; i < n; i++)
        while (!awaitable_has_ended(tasks[i]))
            if (pirn_awaitable_await(tasks[i], NULL, INT64_MAX, false) != 0)
                pirn_wait_give_way();
    if (shielded)
        pirn_task_unshield(me);
}

static void release_all(pirn_task **tasks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        atomic_store_explicit(&tasks[i]->seen, 1, memory_order_relaxed);
        pirn_awaitable_unref(tasks[i]);
    }
}

/* Before anything is begun: a coroutine, not cancelled, with room for n tasks? */
static int prepare(const char *call, size_t n, pirn_task ***ret_tasks)
{
    struct wait w;
    if (pirn_current_task() == NULL)
        return pirn_misuse(call, -EPERM, MISUSE_NO_COROUTINE);
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    *ret_tasks = n < SIZE_MAX / sizeof(**ret_tasks) ? malloc((n + 1) * sizeof(**ret_tasks)) : NULL;
    return *ret_tasks != NULL ? 0 : -ENOMEM;
}

/* ---- race ---- */

/* Takes them as they end: 0 and who has succeeded, or nobody, and how the first one failed. */
static int first_to_succeed(pirn_completions *ends, pirn_task **ret_winner, int *ret_first,
                            pirn_time deadline)
{
    pirn_awaitable *next;
    int rc;
    while ((rc = pirn_completions_next(ends, &next, deadline)) == 1) {
        if (status_of(next) >= 0) {
            *ret_winner = next;
            return 0;
        }
        if (*ret_first == 0)
            *ret_first = status_of(next);
    }
    return rc;
}

int pirn_race(const pirn_call *calls, size_t n, size_t *ret_winner, pirn_task **ret_task,
              int *ret_statuses, pirn_time deadline)
{
    pirn_task *winner = NULL;
    pirn_completions *ends = NULL;
    pirn_task **tasks;
    size_t started = 0;
    int first = 0;
    if (calls == NULL || n == 0)
        return pirn_misuse(__func__, -EINVAL, "there is nobody to race");
    for (size_t i = 0; i < n; i++)
        if (calls[i].fn == NULL)
            return pirn_misuse(__func__, -EINVAL, "one of the calls' fn is NULL");
    int rc = prepare(__func__, n, &tasks);
    if (rc != 0)
        return rc;
    for (; rc == 0 && started < n; started += rc == 0)
        rc = pirn_spawn(&tasks[started], calls[started].fn, calls[started].arg);
    if (rc == 0)
        rc = pirn_as_completed(&ends, tasks, n);
    if (rc == 0)
        rc = first_to_succeed(ends, &winner, &first, deadline);
    pirn_completions_free(ends);
    end_all(tasks, started, rc == -ECANCELED ? pirn_cancel_reason() : "lost the race");
    for (size_t i = 0; i < n && ret_statuses != NULL; i++)
        ret_statuses[i] = i < started ? status_of(tasks[i]) : -ECANCELED;
    for (size_t i = 0; i < n && rc == 0 && winner != NULL && ret_winner != NULL; i++)
        if (tasks[i] == winner)
            *ret_winner = i;
    if (rc == 0 && winner == NULL)
        rc = first;
    else if (rc == 0 && ret_task != NULL)
        *ret_task = pirn_retain(winner);
    release_all(tasks, started);
    free(tasks);
    return rc;
}

/* ---- map ---- */

struct map {
    int (*fn)(size_t i, void *arg);
    void *arg;
    int *statuses; /* each written by the runner that took its number */
    size_t n;
    _Atomic size_t next; /* the next number to be taken (relaxed: that each is taken once is all) */
};

static int run_numbers(void *arg)
{
    struct map *m = arg;
    struct pirn_task *me = pirn_current_task();
    size_t i;
    int status;
    while ((i = atomic_fetch_add_explicit(&m->next, 1, memory_order_relaxed)) < m->n) {
        status = task_clean_up(me, m->fn(i, m->arg));
        if (m->statuses != NULL)
            m->statuses[i] = status;
    }
    return 0;
}

/* All runners have ended: 0, or why there are numbers that none has taken. A runner that has never
 * run (it was cancelled, or had no stack) takes none. */
static int left_over(struct map *m, pirn_task *const *tasks, size_t n)
{
    int rc = 0;
    if (atomic_load_explicit(&m->next, memory_order_relaxed) >= m->n)
        return 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = status_of(tasks[i]);
    return rc;
}

int pirn_map(size_t n, size_t limit, int (*fn)(size_t i, void *arg), void *arg, int *ret_statuses,
             pirn_time deadline)
{
    struct map m = {fn, arg, ret_statuses, n, 0};
    size_t runners = limit == 0 || limit > n ? n : limit, started = 0, done = 0;
    pirn_task **tasks;
    if (fn == NULL || n > SIZE_MAX / 2)
        return pirn_misuse(__func__, -EINVAL, fn == NULL ? MISUSE_NULL : "n is out of range");
    int rc = prepare(__func__, runners, &tasks);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < n && ret_statuses != NULL; i++)
        ret_statuses[i] = -ECANCELED;
    for (; rc == 0 && started < runners; started += rc == 0)
        rc = pirn_spawn(&tasks[started], run_numbers, &m);
    if (rc == 0 && n != 0)
        rc = pirn_wait(tasks, started, PIRN_ALL_COMPLETED, NULL, &done, deadline);
    if (rc == 0 && done < started)
        rc = -ETIMEDOUT;
    if (rc != 0) { /* no more numbers */
        atomic_store_explicit(&m.next, n, memory_order_relaxed);
        end_all(tasks, started,
                rc == -ECANCELED ? pirn_cancel_reason() : "the map has been given up");
    } else {
        rc = left_over(&m, tasks, started);
    }
    release_all(tasks, started);
    free(tasks);
    return rc;
}
