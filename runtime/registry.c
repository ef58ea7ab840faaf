/*
 * The list of runtimes; see registry.h. Under one mutex; a runtime is on it while its workers run.
 */
#include "runtime/registry.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/runtime.h"
#include "runtime/wait.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct pirn_runtime *first; /* under mutex, like their next_runtime */

void pirn_registry_add(struct pirn_runtime *rt)
{
    pthread_mutex_lock(&mutex);
    rt->next_runtime = first;
    first = rt;
    pthread_mutex_unlock(&mutex);
}

void pirn_registry_remove(struct pirn_runtime *rt)
{
    pthread_mutex_lock(&mutex);
    struct pirn_runtime **link = &first;
    while (*link != NULL && *link != rt)
        link = &(*link)->next_runtime;
    if (*link != NULL)
        *link = rt->next_runtime;
    pthread_mutex_unlock(&mutex);
}

void pirn_registry_forget(void)
{
    pthread_mutex_init(&mutex, NULL); /* its holder did not come along */
    first = NULL;
}

void pirn_registry_report(const struct pirn_runtime *rt, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    pthread_mutex_lock(&mutex);
    struct pirn_runtime *r = first;
    while (r != NULL && r != rt)
        r = r->next_runtime;
    if (r != NULL)
        rt_outsider_enter(r); /* so that it stays for the hook, which must not have our mutex */
    pthread_mutex_unlock(&mutex);
    if (r == NULL) {
        fprintf(stderr, "pirn: %s\n", line);
        return;
    }
    pirn_report(r, "%s", line);
    rt_outsider_leave(r);
}

void pirn_registry_each(void (*fn)(struct pirn_runtime *rt, void *arg), void *arg)
{
    pthread_mutex_lock(&mutex);
    for (struct pirn_runtime *rt = first; rt != NULL; rt = rt->next_runtime)
        fn(rt, arg);
    pthread_mutex_unlock(&mutex);
}

/* Under the mutex: the first behind `before` (NULL, or it has left: of all) that has operations on
 * fd. */
static struct pirn_runtime *next_on(const struct pirn_runtime *before, int fd)
{
    struct pirn_runtime *rt = first;
    for (struct pirn_runtime *r = first; before != NULL && r != NULL; r = r->next_runtime)
        if (r == before)
            rt = r->next_runtime;
    /* seq_cst: pairs with the addition in enter_fd, and the release in leave_fd */
    while (rt != NULL &&
           atomic_load_explicit(&pirn_fd_use_of(&rt->fd_ops, fd)->count, memory_order_seq_cst) == 0)
        rt = rt->next_runtime;
    return rt;
}

bool pirn_registry_stop_fd(int fd, const struct fd_users *only)
{
    struct pirn_runtime *rt = NULL, *before;
    bool any = false;
    do {
        before = rt;
        pthread_mutex_lock(&mutex);
        rt = next_on(before, fd);
        if (rt != NULL)
            rt_outsider_enter(rt); /* as above: what a task leaves behind may be dropped here */
        pthread_mutex_unlock(&mutex);
        if (before != NULL)
            rt_outsider_leave(before);
        if (rt != NULL)
            any |= pirn_wait_stop_fd(rt, fd, only);
    } while (rt != NULL);
    return any;
}
