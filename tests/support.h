/*
 * What the tests share: checks that work on every thread, rounds scaled to the build, counts of
 * descriptors and threads, plain threads, random skew, sockets, a report hook that remembers.
 *
 * A test program is a list of Check tests ended by SUPPORT_MAIN. They run in one process (no fork
 * for each test), under a watchdog that dumps the runtime and fails the program if it hangs.
 * Check's own assertions jump out of the test and must not be used inside a coroutine; CHECK and
 * kin print what was wrong and end the program, on whatever thread.
 */
#ifndef PIRN_TESTS_SUPPORT_H
#define PIRN_TESTS_SUPPORT_H

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <pirn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS 1000000LL /* in nanoseconds */
#define US 1000LL

/* ---- Checks ------------------------------------------------------------------------------ */

_Noreturn void support_fail(const char *file, int line, const char *func, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define CHECK(cond) \
    ((cond) ? (void)0 : support_fail(__FILE__, __LINE__, __func__, "not true: %s", #cond))
#define CHECK_OP(a, op, b) \
    do { \
        intmax_t a_ = (intmax_t)(a), b_ = (intmax_t)(b); \
        if (!(a_ op b_)) \
            support_fail(__FILE__, __LINE__, __func__, "%s %s %s: %jd and %jd", #a, #op, #b, a_, \
                         b_); \
    } while (0)
#define CHECK_EQ(a, b) CHECK_OP(a, ==, b)
#define CHECK_GE(a, b) CHECK_OP(a, >=, b)
#define CHECK_LE(a, b) CHECK_OP(a, <=, b)
#define CHECK_OK(rc) CHECK_OP(rc, ==, 0)

/* ---- The program ------------------------------------------------------------------------- */

#define SUPPORT_MAIN(name, ...) \
    int main(void) \
    { \
        const TTest *tests_[] = {__VA_ARGS__}; \
        return support_main(name, tests_, sizeof(tests_) / sizeof(tests_[0])); \
    }
int support_main(const char *name, const TTest *const *tests, size_t n);

/* Upper time bounds may be checked: no sanitizer, no hard mode, and PIRN_TEST_TIMING is not 0. */
bool support_timing(void);
bool support_slow(void); /* hard mode or a sanitizer */
bool support_asan(void); /* AddressSanitizer */
/* In a fork's child: a hang ends it by SIGALRM, of which Check's handler would end the whole
 * process group. */
void support_alarm(unsigned seconds);
bool support_tsan(void); /* ThreadSanitizer: signals wait for a call it intercepts */
/* n in a plain build, a tenth of it in a slow one, at least 1. */
int support_rounds(int n);

/* ---- Running ----------------------------------------------------------------------------- */

#define FOR_WORKERS(w) for (int w = 1; w <= 4; w *= 2)

/* fn(arg) as main of a runtime with that many workers (0: default); returns its status. */
int support_run(int workers, pirn_fn fn, void *arg);
int support_run_with(const pirn_config *config, pirn_fn fn, void *arg); /* the same */
/* fn on this plain thread, then in a coroutine at W = 1, 2 and 4. */
void support_everywhere(void (*fn)(void));
/* A test that is main(NULL) of so many runs at each of W = 1, 2 and 4. */
#define SUPPORT_EACH(name, main, rounds) \
    START_TEST(name) \
    { \
        for (int i = 0; i < support_rounds(rounds); i++) \
            FOR_WORKERS(w) \
        CHECK_OK(support_run(w, main, NULL)); \
    } \
    END_TEST

/* Spawns, or fails the program. */
pirn_task *support_spawn(pirn_fn fn, void *arg);
pirn_task *support_spawn_named(const char *name, pirn_fn fn, void *arg);
/* Joins and returns the task's status. */
int support_join(pirn_task *task);
/* Waits (coroutine or plain thread) until *value is at least that. */
void support_until(atomic_int *value, int at_least);

/* Waits until the task is inside a waiting call (of what it has begun, not of what it will), or has
 * ended. */
void support_until_waiting(pirn_task *task);
bool support_is_waiting(pirn_task *task); /* that, now */

typedef struct support_census {
    int fds, threads;
} support_census;
support_census support_count(void);
/* Fails if there are more than then; threads get a minute to go. */
void support_no_more_than(support_census before);
/* Bytes of memory of this process's own. Exactly: what statm and status tell is a count that
 * each core adds to now and then, 128 pages off with two of them; and code comes in as it runs. */
long support_resident(void);

/* Between the two this thread may block although it is a worker: a traced run (tests/trace) does
 * not mind. No coroutine may suspend in between. support_pause_ms, joining threads and the plain
 * calls below do this by themselves. */
void support_blocking_begin(void);
void support_blocking_end(void);

/* ---- Plain threads, skew ----------------------------------------------------------------- */

pthread_t support_thread(void *(*fn)(void *), void *arg);
void support_thread_join(pthread_t thread);
void *support_thread_result(pthread_t thread); /* joins it */
int64_t support_now(void);                     /* monotonic, ns, by the system's own call */
void support_spin(int64_t ns);
void support_pause_ms(int ms); /* really blocks the thread */
uint64_t support_random(void);
int64_t support_between(int64_t low, int64_t high); /* random, both included */

/* Releases n participants together, each then delayed by 0-20 us at random. */
typedef struct support_barrier {
    int n;
    atomic_int arrived, round;
} support_barrier;
void support_meet(support_barrier *barrier);

/*
 * How late the machine itself is, beside what is measured: whatever a control has seen is added to
 * an upper bound. A thread of its own sleeps 1 ms at a time, and comes late when the machine is
 * busy; and threads of this process wait for a core. On a machine with a core to spare both are
 * next to nothing.
 *
 * What bounds a span of time adds support_control_late: all that the control's thread came late by
 * (beyond 1 ms at a time), and what one thread waited for a core, the one that did so longest (not
 * all of them together: they wait at the same time). What bounds how late something is at a time
 * adds support_control_worst, the most by which the control's thread was.
 */
enum {
    SUPPORT_CONTROL_THREADS = 64
};
typedef struct support_control {
    pthread_t thread;
    atomic_int over;
    _Atomic int64_t late, worst; /* ns, the thread's: all together, at a time */
    int known; /* threads there were before it began, and how long each had waited for a core */
    struct {
        int tid;
        int64_t waited;
    } before[SUPPORT_CONTROL_THREADS];
} support_control;
void support_control_begin(support_control *control);
int64_t support_control_late(support_control *control);  /* until now, ns */
int64_t support_control_worst(support_control *control); /* the same */
void support_control_end(support_control *control);

/* ---- Descriptors ------------------------------------------------------------------------- */

void support_pair(int ret_pair[2]);     /* unix stream */
void support_tcp_pair(int ret_pair[2]); /* 127.0.0.1 */
/* A test may have this. Under TSan, where connect(2) is replaced, it is called before each one. */
struct sockaddr;
void support_connects(const struct sockaddr *addr) __attribute__((weak));
void support_pipe(int ret_pipe[2]);
int support_listen(struct sockaddr_in *ret_addr, int backlog);
int support_socket(void); /* TCP */
void support_nonblock(int fd, bool on);
void support_send_all(int fd, const void *buf, size_t n); /* plain calls */
/* The plain calls. */
ssize_t support_read(int fd, void *buf, size_t n);
ssize_t support_write(int fd, const void *buf, size_t n);
int support_connect(int fd, const void *addr, size_t len);
int support_poll(int fd, short events); /* until it is ready */
size_t support_fill(int fd);            /* writes until it would block; returns how much */
size_t support_drain(int fd);           /* reads until it would block or ends */

/* ---- The report hook --------------------------------------------------------------------- */

typedef struct support_report {
    pthread_mutex_t lock;
    size_t used;
    char text[16384];
} support_report;
#define SUPPORT_REPORT_INIT \
    { \
        PTHREAD_MUTEX_INITIALIZER, 0, \
        { \
            0 \
        } \
    }
void support_report_line(void *report, const char *line);
/* A run whose reports go there: its configuration; all of it. */
pirn_config support_reporting(int workers, support_report *report);
int support_run_reported(int workers, support_report *report, pirn_fn fn, void *arg);
/* How many remembered lines hold the word. */
int support_reported(support_report *report, const char *word);
/* How often the word occurs in text, not as part of a longer one. */
int support_words(const char *text, const char *word);

#endif
