/*
 * The tracer's threads and what it keeps (trace.h). All of it is set up when a process makes its
 * first worker, or before, if a test is about to count threads and descriptors; once more in a
 * forked child.
 *
 * Fields          written by                              read by
 * seats[].tid     its worker (release)                    the supervisor (acquire); 0: nobody's
 * seats[].worker  its maker, before the thread is         the supervisor, once it has seen the tid
 * seats[].allowed its worker                              the supervisor, while that worker stands
 *                                                         in a call
 * request         under `turn`, by who makes a worker     the spawner, posted by semaphores
 * offences        the supervisor; count after the rest    the exit
 *
 * The supervisor takes no lock that a worker might hold while it stands in a call: no allocation,
 * no streams.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/trace/trace.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    SEATS = 1024,
    OFFENCES = 64,
    LOCKS = 64,
    LOCK_LOOK_MS = 20
};

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

struct seat {
    _Atomic pid_t tid;
    atomic_bool taken;
    struct worker *worker;
    atomic_int allowed; /* depth of support_blocking_begin */
    sigset_t signals;   /* of its maker: a new thread's */
};

struct offence {
    char text[1400];
    char key[128];
    unsigned times;
};

static create_fn *real_create;
static void *(*worker_main)(void *); /* NULL: no program of pirn's, nothing to do */
static void (*task_name)(const struct pirn_task *, char *, size_t);

static struct seat seats[SEATS];
static _Atomic unsigned seats_used; /* from the first; under turn */
static __thread struct seat *own_seat;
static struct offence offences[OFFENCES];
static _Atomic unsigned offence_count;
static struct trace_lock locks[LOCKS];
static unsigned lock_count;

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static bool set_up; /* under turn, like the next */
static bool untraced;
static int listener = -1;
static int install_result;
static struct request {
    sem_t asked, done;
    pthread_t *thread;
    const pthread_attr_t *attr;
    struct seat *seat;
    cpu_set_t cpus;
    bool has_cpus;
    int result;
} request;

/* ---- What is found ---- */

static void append(const char *file, const char *text)
{
    const char *dir = getenv("PIRN_TRACE_DIR");
    char path[512], line[1600];
    if (dir == NULL)
        return;
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    int n = snprintf(line, sizeof(line), "%s: %s\n", program_invocation_short_name, text);
    if (write(fd, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1) < 0) {}
    close(fd);
}

static void note(const struct trace_call *c, const char *what, const char *stack)
{
    char key[sizeof(offences[0].key)], name[64] = "the scheduler";
    unsigned n = atomic_load_explicit(&offence_count, memory_order_relaxed);
    /* the two innermost functions: what is further out need not be what called them */
    const char *second = strstr(stack, " < "), *third = second ? strstr(second + 3, " < ") : NULL;
    int length = third ? (int)(third - stack) : (int)strlen(stack);
    snprintf(key, sizeof(key), "%d %.*s", c->nr, length < 100 ? length : 100, stack);
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(offences[i].key, key) == 0) {
            offences[i].times++;
            return;
        }
    }
    if (n == OFFENCES)
        return;
    struct offence *o = &offences[n];
    if (c->worker->current != NULL && task_name != NULL)
        task_name(c->worker->current, name, sizeof(name));
    memcpy(o->key, key, sizeof(key));
    o->times = 1;
    snprintf(o->text, sizeof(o->text), "blocking call on a worker: %s (%s), in %s: %s",
             trace_call_name(c->nr), what, name, stack);
    append("offences", o->text);
    /* release: the text; pairs with the acquire in tell */
    atomic_store_explicit(&offence_count, n + 1, memory_order_release);
}

static __attribute__((destructor)) void tell(void)
{
    /* acquire: pairs with the release in note */
    unsigned n = atomic_load_explicit(&offence_count, memory_order_acquire);
    if (n == 0)
        return;
    for (unsigned i = 0; i < n; i++)
        dprintf(2, "pirn trace: %s (%u times)\n", offences[i].text, offences[i].times);
    _exit(TRACE_FAILED);
}

/* ---- The supervisor ---- */

/* Is that the library's function for this call? sys_fstatat makes a newfstatat, sys_pread a
 * pread64. */
static bool is_by_library(int nr, const char *caller)
{
    const char *call = trace_call_name(nr);
    return strncmp(caller, "pirn_sys_", 9) == 0 &&
           (strstr(call, caller + 9) != NULL || strstr(caller + 9, call) != NULL);
}

static void judge(const struct trace_call *c)
{
    char what[256], stack[900], caller[64];
    enum trace_verdict verdict = trace_judge(c, what, sizeof(what));
    if (trace_is_lock(c) && lock_count < LOCKS) {
        locks[lock_count] = (struct trace_lock){*c, "", 0};
        lock_count++;
    }
    if (verdict == TRACE_FINE)
        return;
    trace_stack(c->tid, stack, sizeof(stack), caller, sizeof(caller));
    if (verdict == TRACE_OFFENCE || is_by_library(c->nr, caller))
        note(c, what, stack);
}

static void look_at_locks(void)
{
    char stack[900], caller[64];
    for (unsigned i = 0; i < lock_count;) {
        bool asleep;
        if (!trace_lock_look(&locks[i], &asleep)) {
            locks[i] = locks[--lock_count];
            continue;
        }
        if (asleep) {
            trace_stack(locks[i].call.tid, stack, sizeof(stack), caller, sizeof(caller));
            note(&locks[i].call, "a mutex whose holder sleeps", stack);
        }
        i++;
    }
}

static void answer(const struct seccomp_notif *asked)
{
    struct trace_call c = {.tid = (pid_t)asked->pid, .nr = asked->data.nr};
    memcpy(c.args, asked->data.args, sizeof(c.args));
    unsigned n = atomic_load_explicit(&seats_used, memory_order_relaxed);
    for (unsigned i = 0; i < n; i++) {
        /* acquire: pairs with the release in run_worker */
        if (atomic_load_explicit(&seats[i].tid, memory_order_acquire) != c.tid)
            continue;
        c.worker = seats[i].worker;
        if (atomic_load_explicit(&seats[i].allowed, memory_order_relaxed) == 0)
            judge(&c);
        return;
    }
}

static void *supervise(void *arg)
{
    static union {
        struct seccomp_notif asked;
        char room[1024]; /* a newer kernel's may be longer */
    } in;
    static union {
        struct seccomp_notif_resp answer;
        char room[1024];
    } out;
    struct pollfd ready = {listener, POLLIN, 0};
    (void)arg;
    prctl(PR_SET_NAME, "trace-judge");
    for (;;) {
        if (poll(&ready, 1, lock_count != 0 ? LOCK_LOOK_MS : -1) == 0) {
            look_at_locks();
            continue;
        }
        memset(&in, 0, sizeof(in));
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &in) != 0)
            continue; /* its thread has been killed */
        answer(&in.asked);
        memset(&out, 0, sizeof(out));
        out.answer.id = in.asked.id;
        out.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &out);
    }
    return NULL;
}

/* ---- Workers ---- */

static void *run_worker(void *arg)
{
    struct seat *seat = arg;
    own_seat = seat;
    pthread_sigmask(SIG_SETMASK, &seat->signals, NULL);
    /* release: the worker; pairs with the acquire in answer */
    atomic_store_explicit(&seat->tid, gettid(), memory_order_release);
    void *result = worker_main(seat->worker);
    atomic_store_explicit(&seat->tid, 0, memory_order_release);
    atomic_store(&seat->taken, false);
    return result;
}

/* It has no name of its own, for its threads would have it, too. */
static void *spawn_for_others(void *arg)
{
    (void)arg;
    install_result = trace_filter_install();
    sem_post(&request.done);
    if (install_result < 0)
        return NULL;
    for (;;) {
        while (sem_wait(&request.asked) != 0) {}
        if (request.has_cpus)
            sched_setaffinity(0, sizeof(request.cpus), &request.cpus);
        request.result = real_create(request.thread, request.attr, run_worker, request.seat);
        sem_post(&request.done);
    }
}

static void wait_for_spawner(void)
{
    while (sem_wait(&request.done) != 0) {}
}

/* Under turn. Its threads take no signals. */
static void begin(void)
{
    pthread_t thread;
    sigset_t all, before;
    set_up = true;
    sem_init(&request.asked, 0, 0);
    sem_init(&request.done, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    install_result = -EAGAIN;
    if (real_create(&thread, NULL, spawn_for_others, NULL) == 0) {
        pthread_detach(thread);
        wait_for_spawner();
    }
    if (install_result >= 0) {
        /* Out of the way of who counts on the lowest numbers, and of limits set later. */
        listener = fcntl(install_result, F_DUPFD_CLOEXEC, 900);
        if (listener < 0)
            listener = install_result;
        else
            close(install_result);
        if (real_create(&thread, NULL, supervise, NULL) != 0)
            abort(); /* nobody would answer */
        pthread_detach(thread);
        append("traced", "its workers are traced");
    } else {
        untraced = true;
        char why[128];
        snprintf(why, sizeof(why), "not traced: %s",
                 install_result == -EBUSY ? "a worker started it"
                                          : strerrordesc_np(-install_result));
        append(install_result == -EBUSY ? "inherited" : "unavailable", why);
        if (install_result != -EBUSY || getenv("PIRN_TRACE_DIR") == NULL)
            dprintf(2, "pirn trace: %s\n", why); /* a child's errors may be looked at */
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static struct seat *take_seat(struct worker *w)
{
    for (unsigned i = 0; i < SEATS; i++) {
        if (!atomic_exchange(&seats[i].taken, true)) {
            seats[i].worker = w;
            atomic_store(&seats[i].allowed, 0);
            if (i >= atomic_load(&seats_used))
                atomic_store(&seats_used, i + 1);
            return &seats[i];
        }
    }
    return NULL;
}

/* By a worker, when a coroutine starts a runtime: waiting here is the tracer's doing. */
static void allow(int more)
{
    if (own_seat != NULL)
        atomic_fetch_add_explicit(&own_seat->allowed, more, memory_order_relaxed);
}

EXPORT int pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    if (real_create == NULL) /* before our constructor */
        real_create = (create_fn *)dlsym(RTLD_NEXT, "pthread_create");
    if (worker_main == NULL || fn != worker_main)
        return real_create(ret_thread, attr, fn, arg);
    int result;
    allow(1);
    pthread_mutex_lock(&turn);
    if (!set_up)
        begin();
    struct seat *seat = untraced ? NULL : take_seat(arg);
    if (seat == NULL) {
        result = real_create(ret_thread, attr, fn, arg);
    } else {
        pthread_sigmask(SIG_SETMASK, NULL, &seat->signals);
        request.thread = ret_thread;
        request.attr = attr;
        request.seat = seat;
        request.has_cpus = sched_getaffinity(0, sizeof(request.cpus), &request.cpus) == 0;
        sem_post(&request.asked);
        wait_for_spawner();
        result = request.result;
        if (result != 0)
            atomic_store(&seat->taken, false);
    }
    pthread_mutex_unlock(&turn);
    allow(-1);
    return result;
}

/* What tests/support.h calls around what blocks on purpose. */
EXPORT void pirn_trace_allow(int more);
void pirn_trace_allow(int more)
{
    allow(more);
}

/* And before it counts. */
EXPORT void pirn_trace_begin(void);
void pirn_trace_begin(void)
{
    allow(1);
    pthread_mutex_lock(&turn);
    if (!set_up && worker_main != NULL)
        begin();
    pthread_mutex_unlock(&turn);
    allow(-1);
}

/* ---- The process ---- */

static void in_child(void)
{
    /* The tracer's threads stayed behind. A worker's child keeps the filter, which has another's
     * listener: no second one is to be had. */
    if (listener >= 0)
        close(listener);
    listener = -1;
    set_up = untraced = own_seat != NULL;
    own_seat = NULL;
    lock_count = 0;
    memset(seats, 0, sizeof(seats));
    atomic_store(&offence_count, 0);
    pthread_mutex_init(&turn, NULL);
}

static __attribute__((constructor)) void load(void)
{
    real_create = (create_fn *)dlsym(RTLD_NEXT, "pthread_create");
    if (trace_symbols_load() != 0)
        return;
    worker_main = (void *(*)(void *))trace_symbol("pirn_worker_main");
    task_name =
        (void (*)(const struct pirn_task *, char *, size_t))trace_symbol("pirn_task_name_raw");
    if (worker_main != NULL)
        pthread_atfork(NULL, NULL, in_child);
}
