/*
 * Mailboxes: letters for a thread that runs a loop of its own, and an eventfd that it watches.
 *
 * All of it under one lock: the queue of letters, and whether the eventfd has been written
 * (signalled), which is read back by a dispatch. A letter that comes while it is signalled costs no
 * system call.
 *
 * A post's letter is allocated. A call's lies in its caller's frame, and goes QUEUED -> RUNNING ->
 * DONE; or out of the queue again, if its caller gives up before a dispatch has taken it, or the
 * mailbox is closed (-> DONE with -ESHUTDOWN). A caller that gives up later waits all the same: fn
 * is using its argument. Claimed, it may be gone, and the letter with it; the mailbox stays by the
 * dispatcher's own reference.
 *
 * The eventfd is written and read under the lock, which is a mutex therefore. Rejected: a pipe (a
 * byte for each letter, and it can be full); writing after the unlock (the descriptor may have been
 * closed by then with the last reference, and be another's).
 */
#include <errno.h>
#include <pirn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "io/sys.h"
#include "runtime/debug.h"
#include "runtime/wait.h"

enum letter_state {
    LETTER_QUEUED,
    LETTER_RUNNING,
    LETTER_DONE
};

struct letter {
    struct letter *next, **at; /* in the queue; at: what points to it */
    void (*post)(void *arg);   /* NULL: it is a call */
    pirn_fn call;
    void *arg;
    enum letter_state state;
    int rc, status; /* the call's own fate, and what fn said */
    struct waiter *waiters;
};

struct pirn_mailbox {
    _Atomic uint32_t refs;
    int fd;
    pthread_mutex_t mutex; /* guards the rest */
    struct letter *first, **end;
    unsigned queued;
    bool signalled, closed;
    unsigned depth;     /* of dispatches in dispatches */
    const void *reader; /* the dispatching thread, by its struct self; while depth is not 0 */
};

int pirn_mailbox_new(pirn_mailbox **ret_mailbox)
{
    if (ret_mailbox == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    pirn_mailbox *mb = calloc(1, sizeof(*mb));
    if (mb == NULL)
        return -ENOMEM;
    mb->fd = sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mb->fd < 0) {
        int rc = mb->fd;
        free(mb);
        return rc;
    }
    atomic_init(&mb->refs, 1);
    pthread_mutex_init(&mb->mutex, NULL);
    mb->end = &mb->first;
    *ret_mailbox = mb;
    return 0;
}

pirn_mailbox *pirn_mailbox_retain(pirn_mailbox *mailbox)
{
    if (mailbox != NULL)
        atomic_fetch_add_explicit(&mailbox->refs, 1, memory_order_relaxed);
    return mailbox;
}

void pirn_mailbox_release(pirn_mailbox *mailbox)
{
    /* acq_rel: everybody's last use comes before the free */
    if (mailbox == NULL || atomic_fetch_sub_explicit(&mailbox->refs, 1, memory_order_acq_rel) != 1)
        return;
    pirn_mailbox_close(mailbox);
    sys_close(mailbox->fd);
    pthread_mutex_destroy(&mailbox->mutex);
    free(mailbox);
}

int pirn_mailbox_fd(const pirn_mailbox *mailbox)
{
    return mailbox != NULL ? mailbox->fd : -EINVAL;
}

/* Under the mutex, as all of these. */
static void signal_reader(pirn_mailbox *mb)
{
    uint64_t one = 1;
    if (!mb->signalled)
        sys_write(mb->fd, &one, sizeof(one)); /* it holds 0: this cannot fail */
    mb->signalled = true;
}

static void append(pirn_mailbox *mb, struct letter *l)
{
    l->at = mb->end;
    *mb->end = l;
    mb->end = &l->next;
    mb->queued++;
    signal_reader(mb);
}

/* Of thousands of calls that are given up each takes itself out. */
static void take_out(pirn_mailbox *mb, struct letter *l)
{
    *l->at = l->next;
    if (l->next != NULL)
        l->next->at = l->at;
    else
        mb->end = l->at;
    mb->queued--;
}

static struct letter *take_first(pirn_mailbox *mb)
{
    struct letter *l = mb->first;
    if (l != NULL)
        take_out(mb, l);
    return l;
}

/* A call is over. Its caller alone waits for it; claimed, it may be gone, and the letter with
 * it. */
static void finish(struct letter *l, int rc, struct wakeups *wakeups)
{
    l->rc = rc;
    l->state = LETTER_DONE;
    struct waiter *waiter = pirn_waiter_pop(&l->waiters);
    if (waiter != NULL)
        pirn_waiter_claim(waiter, wakeups);
}

int pirn_mailbox_post(pirn_mailbox *mailbox, void (*fn)(void *arg), void *arg)
{
    if (mailbox == NULL || fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    struct letter *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    l->post = fn;
    l->arg = arg;
    pthread_mutex_lock(&mailbox->mutex);
    bool closed = mailbox->closed;
    if (!closed)
        append(mailbox, l);
    pthread_mutex_unlock(&mailbox->mutex);
    if (closed)
        free(l);
    return closed ? -ESHUTDOWN : 0;
}

/* Waits for the end of a call that has begun, whatever may come. */
static void wait_for_end(pirn_mailbox *mb, struct wait *w, struct letter *l)
{
    if (w->task != NULL)
        pirn_task_shield(w->task);
    for (;;) {
        pirn_wait_renew(w);
        pthread_mutex_lock(&mb->mutex);
        pirn_waiter_unlink(&l->waiters, w->waiter);
        bool done = l->state == LETTER_DONE;
        if (!done)
            pirn_wait_link(w, &l->waiters);
        pthread_mutex_unlock(&mb->mutex);
        if (done)
            break;
        if (pirn_wait_park(w, "mailbox", INT64_MAX) != 0)
            pirn_wait_give_way(); /* shutdown's failing: fn still has our memory */
    }
    if (w->task != NULL)
        pirn_task_unshield(w->task);
}

/* The caller has given up: out of the queue, or to the end with the call. */
static int give_up(pirn_mailbox *mb, struct wait *w, struct letter *l, int why)
{
    pthread_mutex_lock(&mb->mutex);
    pirn_waiter_unlink(&l->waiters, w->waiter);
    bool queued = l->state == LETTER_QUEUED;
    if (queued)
        take_out(mb, l);
    pthread_mutex_unlock(&mb->mutex);
    if (queued)
        return why;
    if (why == -ECANCELED) /* it happened, so the cancel stays pending */
        pirn_wait_keep_cancel(w);
    wait_for_end(mb, w, l);
    return l->rc;
}

int pirn_mailbox_call(pirn_mailbox *mailbox, pirn_fn fn, void *arg, int *ret_status,
                      pirn_time deadline)
{
    struct letter l = {.call = fn, .arg = arg, .state = LETTER_QUEUED};
    struct wait w;
    if (mailbox == NULL || fn == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&mailbox->mutex);
    if (mailbox->closed)
        rc = -ESHUTDOWN;
    else if (w.task == NULL && mailbox->depth != 0 && mailbox->reader == w.self)
        rc = -EDEADLK;
    if (rc == 0) {
        pirn_wait_link(&w, &l.waiters);
        append(mailbox, &l);
    }
    pthread_mutex_unlock(&mailbox->mutex);
    if (rc != 0)
        return rc == -EDEADLK
                   ? pirn_misuse(__func__, rc, "the thread that dispatches waits for itself")
                   : rc;
    rc = pirn_wait_park(&w, "mailbox", deadline.ns);
    rc = rc == 0 ? l.rc : give_up(mailbox, &w, &l, rc);
    if (rc == 0 && ret_status != NULL)
        *ret_status = l.status;
    return rc;
}

/* Runs one letter; the mutex is dropped for the time. */
static void deliver(pirn_mailbox *mb, struct letter *l)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    l->state = LETTER_RUNNING;
    pthread_mutex_unlock(&mb->mutex);
    int status = 0;
    if (l->post != NULL) {
        l->post(l->arg);
        free(l);
        pthread_mutex_lock(&mb->mutex);
        return;
    }
    status = l->call(l->arg);
    pthread_mutex_lock(&mb->mutex);
    l->status = status;
    finish(l, 0, &wakeups);
    pthread_mutex_unlock(&mb->mutex);
    pirn_wakeups_run(&wakeups);
    pthread_mutex_lock(&mb->mutex);
}

int pirn_mailbox_dispatch(pirn_mailbox *mailbox)
{
    const void *self = pirn_self();
    uint64_t count;
    int done = 0, rc = 0;
    if (mailbox == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (pirn_on_worker())
        return pirn_misuse(__func__, -EPERM, "a coroutine dispatches: a plain thread is to");
    pthread_mutex_lock(&mailbox->mutex);
    if (mailbox->closed)
        rc = -ESHUTDOWN;
    else if (mailbox->depth != 0 && mailbox->reader != self)
        rc = -EBUSY;
    if (rc != 0) {
        pthread_mutex_unlock(&mailbox->mutex);
        return rc;
    }
    pirn_mailbox_retain(mailbox); /* a letter may release the last one */
    mailbox->depth++;
    mailbox->reader = self;
    if (mailbox->signalled)
        sys_read(mailbox->fd, &count, sizeof(count));
    mailbox->signalled = false;
    for (unsigned left = mailbox->queued; left > 0 && mailbox->first != NULL; left--, done++)
        deliver(mailbox, take_first(mailbox));
    mailbox->depth--;
    pthread_mutex_unlock(&mailbox->mutex);
    pirn_mailbox_release(mailbox);
    return done;
}

int pirn_mailbox_close(pirn_mailbox *mailbox)
{
    struct wakeups wakeups = WAKEUPS_INIT;
    struct letter *l;
    int dropped = 0;
    if (mailbox == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->closed = true;
    signal_reader(mailbox); /* so that who watches it comes and is told */
    while ((l = take_first(mailbox)) != NULL) {
        if (l->post == NULL) {
            finish(l, -ESHUTDOWN, &wakeups);
        } else {
            free(l);
            dropped++;
        }
    }
    pthread_mutex_unlock(&mailbox->mutex);
    pirn_wakeups_run(&wakeups);
    return dropped;
}
