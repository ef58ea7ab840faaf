/* serial */
/*
 * An idle runtime makes no system call: four workers, a task with one 8 s timer, one in accept.
 * No thread of the process runs at all between the first second and the fourth (a thread that made
 * a call would show up with a context switch), and the waiting does not count as iowait.
 */
#include <dirent.h>

#include "tests/process/scenario.h"

enum {
    TRIES = 3
};

typedef struct usage {
    long switches, cpu_ticks;
    int threads;
} usage;

static int accept_for_ever(void *arg)
{
    return pirn_accept(*(int *)arg, NULL, NULL, 0, PIRN_NEVER);
}

static int idle_main(void *arg)
{
    pirn_task *task;
    struct sockaddr_in addr;
    int listener = support_listen(&addr, 1), status;
    pirn_time due;

    (void)arg;
    CHECK_OK(pirn_spawn(&task, accept_for_ever, &listener));
    due = pirn_after_s(8);
    CHECK_OK(pirn_sleep(due));
    CHECK(pirn_now().ns >= due.ns);
    CHECK_OK(pirn_cancel(task, "enough"));
    CHECK_OK(pirn_join(task, &status, pirn_after_s(20)));
    CHECK_EQ(status, -ECANCELED);
    return pirn_close(listener);
}

static int run_idle(void)
{
    pirn_config config = PIRN_CONFIG_INIT;
    int status;

    config.workers = 4;
    CHECK_OK(pirn_run_with(&config, idle_main, NULL, &status));
    return status;
}

/* Adds one thread's figures: context switches, and user and system time in clock ticks. */
static void add_thread(pid_t pid, const char *tid, usage *u)
{
    char path[64], line[512], *field;
    long n, utime, stime;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/task/%.10s/status", (int)pid, tid);
    f = fopen(path, "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof(line), f)) {
        field = strstr(line, "voluntary_ctxt_switches:"); /* and nonvoluntary_... */
        if (field && sscanf(strchr(field, ':') + 1, "%ld", &n) == 1)
            u->switches += n;
    }
    fclose(f);
    snprintf(path, sizeof(path), "/proc/%d/task/%.10s/stat", (int)pid, tid);
    f = fopen(path, "r");
    CHECK(f != NULL);
    CHECK(fgets(line, sizeof(line), f) != NULL);
    fclose(f);
    field = strrchr(line, ')'); /* the name may hold anything */
    CHECK(field != NULL);
    CHECK_EQ(
        sscanf(field + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &utime, &stime),
        2);
    u->cpu_ticks += utime + stime;
    u->threads++;
}

static usage usage_of(pid_t pid)
{
    usage u = {0, 0, 0};
    struct dirent *entry;
    char path[64];
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            add_thread(pid, entry->d_name, &u);
    }
    closedir(dir);
    return u;
}

/* The whole machine's iowait so far, in clock ticks. */
static long machine_iowait(void)
{
    FILE *f = fopen("/proc/stat", "r");
    long ticks = 0;

    CHECK(f != NULL);
    CHECK_EQ(fscanf(f, "cpu %*d %*d %*d %*d %ld", &ticks), 1);
    fclose(f);
    return ticks;
}

static bool kernel_has_no_iowait(void)
{
    uint32_t params[30] = {0}; /* struct io_uring_params; features are its sixth word */
    int fd = (int)syscall(SYS_io_uring_setup, 1, params);

    if (fd < 0)
        return false;
    close(fd);
    return params[5] & 1u << 17; /* IORING_FEAT_NO_IOWAIT */
}

/* One idle life, watched from here. Returns the iowait of its quiet three seconds. */
static long watch(void)
{
    usage early, late;
    long iowait;
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(60);
        _exit(run_idle());
    }
    sleep(1);
    early = usage_of(pid);
    iowait = machine_iowait();
    sleep(3);
    iowait = machine_iowait() - iowait;
    late = usage_of(pid);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_OK(status);
    CHECK(early.threads >= 4);
    CHECK_EQ(late.threads, early.threads);
    CHECK_EQ(late.switches, early.switches);
    CHECK_EQ(late.cpu_ticks, early.cpu_ticks);
    return iowait;
}

static long second_without(void)
{
    long without = machine_iowait();

    sleep(1);
    return machine_iowait() - without;
}

/*
 * A CPU that idles while a thread that ran there last waits in the wrong way counts as waiting for
 * a disk: three seconds of it, less what others compute. Others' disks count into the machine's
 * figure too: the second before and the second after say whether they are at rest, and there is
 * another try.
 */
static void check_iowait(void)
{
    long before, with, after, per_s = sysconf(_SC_CLK_TCK);
    bool at_rest = false;
    int try;

    for (try = 0; try < TRIES; try++) {
        before = second_without();
        with = watch();
        after = second_without();
        printf("iowait: %ld ticks in 3 s with the runtime, %ld and %ld in 1 s without\n", with,
               before, after);
        if (with < per_s / 2)
            return;
        at_rest |= before < per_s / 20 && after < per_s / 20;
    }
    CHECK(!at_rest);
    printf("iowait: skipped, others' disks are not at rest\n");
}

int main(void)
{
    if (TSAN)
        return SKIPPED; /* its own thread wakes up now and then */
    if (kernel_has_no_iowait()) {
        check_iowait();
    } else {
        watch();
        printf("iowait: skipped, this kernel cannot wait without it\n");
    }
    return 0;
}
