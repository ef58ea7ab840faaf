/*
 * Children whose handles have gone before they have ended: reaped here, and their memory freed.
 *
 * One thread for all of them waits for their pidfds (epoll). It is started when there is a first
 * one, and ends with the last, so that a program without such children has neither thread nor
 * descriptor for them. It is the one thread of a crew that is stopped as soon as it has its work
 * (runtime/crew.h): signals blocked, detached. One that cannot be watched (no descriptor, no
 * memory, no thread) is kept in a list, and tried again when the next one comes or a child is
 * spawned. Those that are watched are in a list as well: epoll's copy of the pointer alone would be
 * none to a search for leaks.
 *
 * Rejected: a task of the runtime that polls. The last reference may go on a plain thread, or in
 * the last moments of a run. And SIGCHLD: that is the program's, and takes a wait for everybody's
 * children.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/process/process.h"
#include "io/sys.h"
#include "runtime/crew.h"
#include "runtime/wait.h"

enum {
    EVENTS = 32,
    AGAIN_MS = 1
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int epfd = -1; /* under the lock, as are: */
static bool running;  /* the thread, which alone changes epfd then; it ends with the last one */
static pirn_process *watched; /* in epfd */
static pirn_process *waiting; /* not watched */

static void put(pirn_process **list, pirn_process *p)
{
    p->link = list;
    p->next = *list;
    if (p->next != NULL)
        p->next->link = &p->next;
    *list = p;
}

static void take(pirn_process *p)
{
    *p->link = p->next;
    if (p->next != NULL)
        p->next->link = p->link;
}

/* Nobody has a handle: true if it has been reaped. */
static bool is_over(pirn_process *p)
{
    int rc = pirn_process_look(p);
    return rc == 0 || rc == -ECHILD;
}

/* ---- The thread ---------------------------------------------------------------------------- */

/* Under the lock, as is stop(). Returns how many: 0 or 1. */
static int reap(pirn_process *p)
{
    if (!is_over(p))
        return 0;
    /* A fork's child may have a copy of the descriptor: a close would not take it out. */
    sys_epoll_ctl(epfd, EPOLL_CTL_DEL, p->pidfd, NULL);
    take(p);
    pirn_process_free(p);
    return 1;
}

static void stop(void)
{
    sys_close(epfd);
    epfd = -1;
    running = false;
}

static void watch(struct work *work)
{
    struct epoll_event events[EVENTS];
    bool last = false;
    (void)work;
    while (!last) {
        int n = sys_epoll_wait(epfd, events, EVENTS, -1), over = 0;
        pthread_mutex_lock(&lock);
        for (int i = 0; i < n; i++)
            over += reap(events[i].data.ptr);
        last = watched == NULL;
        if (last)
            stop();
        pthread_mutex_unlock(&lock);
        if (over == 0)
            sys_poll(NULL, 0, AGAIN_MS); /* one is traced, and its tracer is told first */
    }
}

/* ---- Under the lock ------------------------------------------------------------------------ */

static int start(void)
{
    static struct work work; /* nobody touches it any more when it has stopped */
    struct crew *crew;
    int rc = pirn_crew_new(&crew, 1, "pirn-reaper");
    if (rc != 0)
        return rc;
    work = (struct work){.run = watch};
    rc = pirn_crew_submit(crew, &work);
    pirn_crew_stop(crew); /* what it has is done all the same */
    pirn_crew_unref(crew);
    running = rc == 0;
    return rc;
}

/* Puts it into one of the two lists. */
static void watch_or_keep(pirn_process *p)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
    if (!running)
        epfd = sys_epoll_create1(EPOLL_CLOEXEC);
    bool added = epfd >= 0 && sys_epoll_ctl(epfd, EPOLL_CTL_ADD, p->pidfd, &event) == 0;
    if (added && !running)
        added = start() == 0;
    put(added ? &watched : &waiting, p);
    if (!running && epfd >= 0)
        stop();
}

/* ---- What others ask ----------------------------------------------------------------------- */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void forget(pirn_process **list)
{
    while (*list != NULL) {
        pirn_process *p = *list;
        take(p);
        pirn_process_free(p);
    }
}

/* Those are the parent's children, and the thread is the parent's. */
static void in_child(void)
{
    if (epfd >= 0)
        stop();
    forget(&watched);
    forget(&waiting);
    pthread_mutex_unlock(&lock);
}

static void install(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

static void prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
}

/* Under the lock. */
static void retry(void)
{
    pirn_process *p = waiting, *next;
    waiting = NULL;
    for (; p != NULL; p = next) {
        next = p->next;
        if (is_over(p))
            pirn_process_free(p);
        else
            watch_or_keep(p);
    }
}

void pirn_orphans_look(void)
{
    prepare();
    pthread_mutex_lock(&lock);
    retry();
    pthread_mutex_unlock(&lock);
}

void pirn_orphan_adopt(pirn_process *p)
{
    if (is_over(p)) {
        pirn_process_free(p);
        return;
    }
    prepare();
    pthread_mutex_lock(&lock);
    put(&waiting, p);
    retry();
    pthread_mutex_unlock(&lock);
}
