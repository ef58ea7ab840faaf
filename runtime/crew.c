/*
 * Crews; see crew.h.
 *
 * Under the mutex: the queue, the counts, stopping, and who waits for the end. Work is done without
 * it. Threads are started when work finds none idle, up to the limit, and end after ten idle
 * seconds. They hear no signals, which are for the program's threads, but those of its own faults.
 *
 * A thread without work waits for its own word, in the list of the idle: who calls one takes it
 * off. A condition variable was rejected: signalling one may wait until a thread that was called
 * before has come to run (glibc, "quiescence"), and who submits is a worker.
 *
 * The last thread to leave a stopped crew tells who waits; the crew's memory goes with the last
 * reference, which may be that thread's. Threads are detached: there need not be anybody to join
 * them.
 *
 * All crews are in one list, for the census of a process that has come to rest (quiet.c): a thread
 * that waits for work does nothing by itself. Its mutex is taken before a crew's.
 */
#include "runtime/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/sys.h"
#include "runtime/fork.h"
#include "runtime/wait.h"

enum {
    IDLE_S = 10
};

/* On the stack of a thread that waits. */
struct idler {
    struct idler *next;      /* under the mutex */
    _Atomic uint32_t called; /* under the mutex; its thread's futex */
};

struct crew {
    _Atomic uint32_t refs; /* anybody; the last one frees (acq_rel) */
    pthread_mutex_t mutex; /* guards: */
    struct work *first, *last;
    struct idler *idlers; /* the last to come is the first to be called */
    unsigned threads, idle;
    bool stopping;
    struct waiter *waiters; /* for the last thread's end */
    uint64_t begun;         /* so much work */

    unsigned limit; /* constant, as are: */
    const char *name;
    pid_t pid;

    struct crew *next, **at; /* under crews_mutex */
};

static pthread_mutex_t crews_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct crew *crews; /* under it; this process's */

static void enlist(struct crew *crew)
{
    pirn_fork_prepare();
    pthread_mutex_lock(&crews_mutex);
    crew->next = crews;
    crew->at = &crews;
    if (crews != NULL)
        crews->at = &crew->next;
    crews = crew;
    pthread_mutex_unlock(&crews_mutex);
}

static void delist(struct crew *crew)
{
    pthread_mutex_lock(&crews_mutex);
    *crew->at = crew->next;
    if (crew->next != NULL)
        crew->next->at = crew->at;
    pthread_mutex_unlock(&crews_mutex);
}

void pirn_crews_forget(void)
{
    pthread_mutex_init(&crews_mutex, NULL); /* its holder did not come along */
    crews = NULL;
}

int pirn_crew_new(struct crew **ret_crew, unsigned threads, const char *name)
{
    struct crew *crew = calloc(1, sizeof(*crew));
    if (crew == NULL)
        return -ENOMEM;
    atomic_init(&crew->refs, 1);
    pthread_mutex_init(&crew->mutex, NULL);
    crew->limit = threads;
    crew->name = name;
    crew->pid = getpid();
    enlist(crew);
    *ret_crew = crew;
    return 0;
}

void pirn_crew_ref(struct crew *crew)
{
    atomic_fetch_add_explicit(&crew->refs, 1, memory_order_relaxed);
}

void pirn_crew_unref(struct crew *crew)
{
    /* acq_rel: everybody's last use comes before the free */
    if (atomic_fetch_sub_explicit(&crew->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (crew->pid == getpid()) { /* else one of its threads may have had it, for all we know */
        delist(crew);
        pthread_mutex_destroy(&crew->mutex);
    }
    free(crew);
}

/* ---- The queue; under the mutex ------------------------------------------------------------ */

static void append(struct crew *crew, struct work *work)
{
    work->next = NULL;
    work->prev = crew->last;
    if (crew->last != NULL)
        crew->last->next = work;
    else
        crew->first = work;
    crew->last = work;
    work->queued = true;
}

static bool take(struct crew *crew, struct work *work)
{
    if (!work->queued)
        return false;
    if (work->prev != NULL)
        work->prev->next = work->next;
    else
        crew->first = work->next;
    if (work->next != NULL)
        work->next->prev = work->prev;
    else
        crew->last = work->prev;
    work->queued = false;
    return true;
}

/* ---- The threads --------------------------------------------------------------------------- */

/* The word to wake a thread by, once the mutex is free; NULL: nobody is idle. The thread may be
 * gone when it is woken: then that wakes nobody, or somebody who looks again. */
static const void *call_one(struct crew *crew)
{
    struct idler *idler = crew->idlers;
    if (idler == NULL)
        return NULL;
    crew->idlers = idler->next;
    crew->idle--;
    atomic_store_explicit(&idler->called, 1, memory_order_relaxed); /* the mutex orders the rest */
    return &idler->called;
}

static void leave_idlers(struct crew *crew, struct idler *me)
{
    struct idler **link = &crew->idlers;
    while (*link != me)
        link = &(*link)->next;
    *link = me->next;
    crew->idle--;
}

/* Until it is called. False: that has not come to pass. */
static bool wait_for_call(struct crew *crew, int64_t until)
{
    struct idler me = {crew->idlers, 0};
    int64_t left;
    crew->idlers = &me;
    crew->idle++;
    pthread_mutex_unlock(&crew->mutex);
    while (atomic_load_explicit(&me.called, memory_order_relaxed) == 0 &&
           (left = until - clock_now()) > 0) {
        struct timespec timeout = clock_timespec(left);
        sys_futex_wait(&me.called, 0, &timeout);
    }
    pthread_mutex_lock(&crew->mutex);
    if (atomic_load_explicit(&me.called, memory_order_relaxed) != 0)
        return true;
    leave_idlers(crew, &me);
    return false;
}

/* False when it is time to go. */
static bool wait_for_work(struct crew *crew)
{
    int64_t until = clock_now() + (int64_t)IDLE_S * 1000000000;
    while (crew->first == NULL && !crew->stopping) {
        if (!wait_for_call(crew, until))
            break;
    }
    return crew->first != NULL;
}

static void *crew_main(void *arg)
{
    struct crew *crew = arg;
    struct wakeups wakeups = WAKEUPS_INIT;
    struct waiter *waiter;
    sys_prctl(PR_SET_NAME, (unsigned long)(uintptr_t)crew->name);
    pthread_mutex_lock(&crew->mutex);
    while (crew->first != NULL || wait_for_work(crew)) {
        struct work *work = crew->first;
        take(crew, work);
        crew->begun++;
        pthread_mutex_unlock(&crew->mutex);
        work->run(work);
        pthread_mutex_lock(&crew->mutex);
    }
    crew->threads--;
    while (crew->stopping && crew->threads == 0 &&
           (waiter = pirn_waiter_pop(&crew->waiters)) != NULL)
        pirn_waiter_claim(waiter, &wakeups);
    pthread_mutex_unlock(&crew->mutex);
    pirn_wakeups_run(&wakeups);
    pirn_crew_unref(crew);
    return NULL;
}

static int start_thread(struct crew *crew)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t blocked, before;
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&blocked, faults[i]);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pirn_crew_ref(crew);
    sys_sigprocmask(SIG_SETMASK, &blocked, &before);
    int rc = sys_pthread_create(&thread, &attr, crew_main, crew);
    sys_sigprocmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        crew->threads++;
    else
        pirn_crew_unref(crew);
    return rc;
}

/* Under the mutex, after an append: somebody to do it, who may have to be woken by *ret_word. */
static int have_thread(struct crew *crew, const void **ret_word)
{
    *ret_word = call_one(crew);
    if (*ret_word == NULL && crew->threads < crew->limit)
        start_thread(crew);
    return crew->threads != 0 ? 0 : -EAGAIN; /* fewer threads than wanted will do */
}

/* ---- What others ask ----------------------------------------------------------------------- */

int pirn_crew_submit(struct crew *crew, struct work *work)
{
    if (crew->pid != getpid())
        return -ESHUTDOWN;
    const void *word = NULL;
    pthread_mutex_lock(&crew->mutex);
    int rc = crew->stopping ? -ESHUTDOWN : 0;
    if (rc == 0) {
        append(crew, work);
        rc = have_thread(crew, &word);
        if (rc != 0)
            take(crew, work);
    }
    pthread_mutex_unlock(&crew->mutex);
    if (word != NULL)
        sys_futex_wake(word, 1);
    return rc;
}

bool pirn_crew_withdraw(struct crew *crew, struct work *work)
{
    if (crew->pid != getpid())
        return false;
    pthread_mutex_lock(&crew->mutex);
    bool taken = take(crew, work);
    pthread_mutex_unlock(&crew->mutex);
    return taken;
}

struct work *pirn_crew_withdraw_any(struct crew *crew)
{
    if (crew->pid != getpid())
        return NULL;
    pthread_mutex_lock(&crew->mutex);
    struct work *work = crew->first;
    if (work != NULL)
        take(crew, work);
    pthread_mutex_unlock(&crew->mutex);
    return work;
}

void pirn_crew_stop(struct crew *crew)
{
    if (crew->pid != getpid())
        return;
    pthread_mutex_lock(&crew->mutex);
    crew->stopping = true;
    for (const void *word; (word = call_one(crew)) != NULL;)
        sys_futex_wake(word, 1);
    pthread_mutex_unlock(&crew->mutex);
}

int pirn_crew_wait(struct crew *crew, int64_t deadline)
{
    struct wait w;
    if (crew->pid != getpid())
        return -ESHUTDOWN;
    int rc = pirn_wait_enter(&w);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&crew->mutex);
    bool over = crew->threads == 0;
    if (!over)
        pirn_wait_link(&w, &crew->waiters);
    pthread_mutex_unlock(&crew->mutex);
    if (over)
        return 0;
    rc = pirn_wait_park(&w, "pool", deadline);
    pthread_mutex_lock(&crew->mutex);
    pirn_waiter_unlink(&crew->waiters, w.waiter);
    pthread_mutex_unlock(&crew->mutex);
    return rc;
}

unsigned pirn_crew_threads(struct crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    unsigned n = crew->threads;
    pthread_mutex_unlock(&crew->mutex);
    return n;
}

bool pirn_crews_are_idle(unsigned *ret_threads, uint64_t *ret_begun)
{
    bool idle = true;
    *ret_threads = 0;
    *ret_begun = 0;
    pthread_mutex_lock(&crews_mutex);
    for (struct crew *crew = crews; crew != NULL; crew = crew->next) {
        pthread_mutex_lock(&crew->mutex);
        *ret_threads += crew->threads;
        *ret_begun += crew->begun;
        idle = idle && crew->first == NULL && crew->idle == crew->threads;
        pthread_mutex_unlock(&crew->mutex);
    }
    pthread_mutex_unlock(&crews_mutex);
    return idle;
}
