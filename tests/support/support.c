/* See tests/support.h. */
#include "tests/support.h"

#include "runtime/task.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* The runtime that support_run is in, for the watchdog's dump. */
static _Atomic(pirn_runtime *) running;
static const char *program;

void support_fail(const char *file, int line, const char *func, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flockfile(stderr);
    fprintf(stderr, "%s:%d: %s: ", file, line, func);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    funlockfile(stderr);
    va_end(args);
    fflush(NULL);
    _Exit(1);
}

/* ---- The program ------------------------------------------------------------------------- */

static long from_environment(const char *name, long otherwise)
{
    const char *value = getenv(name);
    return value && *value ? strtol(value, NULL, 10) : otherwise;
}

bool support_slow(void)
{
#ifdef PIRN_HARD
    return true;
#else
    return support_asan() || support_tsan();
#endif
}

void support_alarm(unsigned seconds)
{
    signal(SIGALRM, SIG_DFL);
    alarm(seconds);
}

bool support_timing(void)
{
    return !support_slow() && from_environment("PIRN_TEST_TIMING", 1) != 0;
}

int support_rounds(int n)
{
    int rounds = support_slow() ? n / 10 : n;
    return rounds < 1 ? 1 : rounds;
}

static void *watchdog(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    long seconds = from_environment("PIRN_TEST_WATCHDOG_S", 560);
    struct timespec wait = {seconds, 0};
    while (nanosleep(&wait, &wait) != 0) {}
    fprintf(stderr, "%s: still running after %ld s\n", program, seconds);
    pirn_runtime *runtime = atomic_load(&running);
    if (runtime)
        pirn_dump(runtime, stderr);
    fflush(NULL);
    abort();
}

int support_main(const char *name, const TTest *const *tests, size_t n)
{
    static atomic_int watched;
    program = name;
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, watchdog, &watched));
    CHECK_OK(pthread_detach(thread));
    while (!atomic_load(&watched)) /* AddressSanitizer has locks that a fork beside a thread */
        sched_yield();             /* that starts would leave taken in the child */
    Suite *suite = suite_create(name);
    for (size_t i = 0; i < n; i++) { /* a case each: CK_RUN_CASE picks one */
        TCase *tcase = tcase_create(tests[i]->name);
        tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- Running ----------------------------------------------------------------------------- */

struct start {
    pirn_fn fn;
    void *arg;
};

static int start(void *arg)
{
    struct start *s = arg;
    atomic_store(&running, pirn_runtime_current());
    return s->fn(s->arg);
}

int support_run_with(const pirn_config *config, pirn_fn fn, void *arg)
{
    struct start s = {fn, arg};
    int status = 0;
    CHECK_OK(pirn_run_with(config, start, &s, &status));
    atomic_store(&running, NULL);
    return status;
}

int support_run(int workers, pirn_fn fn, void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = workers;
    return support_run_with(&config, fn, arg);
}

static int call(void *arg)
{
    void (**fn)(void) = arg;
    (*fn)();
    return 0;
}

void support_everywhere(void (*fn)(void))
{
    fn();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, call, &fn));
}

pirn_task *support_spawn_named(const char *name, pirn_fn fn, void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    config.name = name;
    pirn_task *task = NULL;
    CHECK_OK(pirn_spawn_with(&task, &config, fn, arg));
    CHECK(task);
    return task;
}

pirn_task *support_spawn(pirn_fn fn, void *arg)
{
    return support_spawn_named(NULL, fn, arg);
}

int support_join(pirn_task *task)
{
    int status = -EINPROGRESS;
    CHECK_OK(pirn_join(task, &status, PIRN_NEVER));
    return status;
}

void support_until(atomic_int *value, int at_least)
{
    while (atomic_load(value) < at_least)
        pirn_sleep(pirn_after_us(200));
}

bool support_is_waiting(pirn_task *task)
{
    struct pirn_task *t = task_of(task);
    return (atomic_load(&t->cell.word) & CELL_PARKED) != 0 || atomic_load(&t->inner) != NULL ||
           pirn_done(task);
}

void support_until_waiting(pirn_task *task)
{
    while (!support_is_waiting(task))
        pirn_sleep(pirn_after_us(200));
}

static int entries(const char *path)
{
    DIR *dir = opendir(path);
    CHECK(dir);
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

support_census support_count(void)
{
    void (*begin)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "pirn_trace_begin");
    if (begin != NULL)
        begin(); /* a tracer's threads are to be among them */
    return (support_census){entries("/proc/self/fd"), entries("/proc/self/task")};
}

void support_no_more_than(support_census before)
{
    support_census now = support_count();
    for (int i = 0; i < 6000 && (now.threads > before.threads || now.fds > before.fds); i++) {
        support_pause_ms(10);
        now = support_count();
    }
    CHECK_LE(now.fds, before.fds);
    CHECK_LE(now.threads, before.threads);
}

long support_resident(void)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    CHECK(file);
    while (kib < 0 && fgets(line, sizeof(line), file))
        if (sscanf(line, "Anonymous: %ld kB", &kib) != 1)
            kib = -1;
    fclose(file);
    CHECK_GE(kib, 0);
    return kib * 1024;
}

/* ---- Blocking on purpose ------------------------------------------------------------------- */

/* The tracer's, if there is one (tests/trace/trace.c). */
static void tell_tracer(int more)
{
    static _Atomic(void *) found; /* itself: looked for, and not there */
    void *allow = atomic_load(&found);
    if (allow == NULL) {
        allow = dlsym(RTLD_DEFAULT, "pirn_trace_allow");
        if (allow == NULL)
            allow = (void *)&found;
        atomic_store(&found, allow);
    }
    if (allow != (void *)&found)
        ((void (*)(int))allow)(more);
}

void support_blocking_begin(void)
{
    tell_tracer(1);
}

void support_blocking_end(void)
{
    tell_tracer(-1);
}

/* ---- Plain threads, skew ----------------------------------------------------------------- */

pthread_t support_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, fn, arg));
    return thread;
}

void *support_thread_result(pthread_t thread)
{
    void *result;
    support_blocking_begin();
    CHECK_OK(pthread_join(thread, &result));
    support_blocking_end();
    return result;
}

void support_thread_join(pthread_t thread)
{
    support_thread_result(thread);
}

int64_t support_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 * MS + t.tv_nsec;
}

void support_spin(int64_t ns)
{
    int64_t end = support_now() + ns;
    while (support_now() < end) {}
}

void support_pause_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * MS};
    support_blocking_begin();
    while (nanosleep(&t, &t) != 0) {}
    support_blocking_end();
}

uint64_t support_random(void)
{
    static _Atomic uint64_t state = 0x9e3779b97f4a7c15;
    uint64_t z = atomic_fetch_add(&state, 0x9e3779b97f4a7c15); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

int64_t support_between(int64_t low, int64_t high)
{
    return low + (int64_t)(support_random() % (uint64_t)(high - low + 1));
}

void support_meet(support_barrier *barrier)
{
    int round = atomic_load(&barrier->round);
    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == barrier->n) {
        atomic_store(&barrier->arrived, 0);
        atomic_fetch_add(&barrier->round, 1);
    } else {
        for (int i = 0; atomic_load(&barrier->round) == round; i++) {
            if (i > 1000)
                sched_yield();
        }
    }
    support_spin(support_between(0, 20 * US));
}

/* ---- The report hook --------------------------------------------------------------------- */

void support_report_line(void *report, const char *line)
{
    support_report *r = report;
    pthread_mutex_lock(&r->lock);
    int n = snprintf(r->text + r->used, sizeof(r->text) - r->used, "%s\n", line);
    if (n > 0 && r->used + (size_t)n < sizeof(r->text))
        r->used += (size_t)n;
    pthread_mutex_unlock(&r->lock);
}

pirn_config support_reporting(int workers, support_report *report)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = workers;
    config.report = support_report_line;
    config.report_user = report;
    return config;
}

int support_run_reported(int workers, support_report *report, pirn_fn fn, void *arg)
{
    pirn_config config = support_reporting(workers, report);
    return support_run_with(&config, fn, arg);
}

static bool in_word(char c)
{
    return c == '-' || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

int support_words(const char *text, const char *word)
{
    int found = 0;
    size_t n = strlen(word);
    for (const char *p = text; (p = strstr(p, word)); p += n)
        found += (p == text || !in_word(p[-1])) && !in_word(p[n]);
    return found;
}

int support_reported(support_report *report, const char *word)
{
    int found = 0;
    pthread_mutex_lock(&report->lock);
    char *copy = strdup(report->text);
    CHECK(copy);
    char *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));)
        found += support_words(line, word) > 0;
    free(copy);
    pthread_mutex_unlock(&report->lock);
    return found;
}
