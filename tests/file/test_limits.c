/*
 * What file calls may take, and what they leave: kernel threads up to the limit; and when cancels
 * and deadlines come at any moment, either all of a call has happened or nothing, and nothing stays
 * open.
 */
#include "tests/file/files.h"

#include <limits.h>
#include <signal.h>

START_TEST(begin)
{
    files_begin();
}
END_TEST

START_TEST(end)
{
    files_end();
}
END_TEST

/* ---- Kernel threads ------------------------------------------------------------------------- */

enum {
    CROWD = 64
};

/* The most kernel threads that any one thread of this process has for its ring. */
static int most_helpers(void)
{
    struct {
        char name[32];
        int n;
    } owners[64];
    int known = 0, most = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        ssize_t n = read(fd, name, sizeof(name) - 1);
        close(fd);
        if (n <= 0 || strncmp(name, "iou-wrk-", 8) != 0)
            continue;
        int i = 0;
        while (i < known && strcmp(owners[i].name, name) != 0)
            i++;
        if (i == known) {
            CHECK(known < 64);
            strcpy(owners[known++].name, name);
            owners[i].n = 0;
        }
        if (++owners[i].n > most)
            most = owners[i].n;
    }
    closedir(dir);
    return most;
}

static atomic_int busy;

static int make_and_remove(void *arg)
{
    char path[FILES_PATH];
    struct stat st;
    (void)arg;
    files_path(path, "crowd");
    for (int i = 0; i < support_rounds(40); i++) {
        CHECK_OK(pirn_mkdirat(AT_FDCWD, path, 0700, PIRN_NEVER));
        CHECK_OK(pirn_fstatat(AT_FDCWD, path, &st, 0, PIRN_NEVER));
        CHECK_OK(pirn_unlinkat(AT_FDCWD, path, AT_REMOVEDIR, PIRN_NEVER));
    }
    int fd = pirn_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0600, PIRN_NEVER);
    CHECK_EQ(pirn_write(fd, "x", 1, PIRN_NEVER), 1);
    CHECK_OK(pirn_fsync(fd, PIRN_NEVER));
    CHECK_OK(pirn_unlinkat(AT_FDCWD, path, 0, PIRN_NEVER));
    CHECK_OK(pirn_close(fd));
    atomic_fetch_sub(&busy, 1);
    return 0;
}

static int crowd(void *arg)
{
    pirn_task *tasks[CROWD];
    int *most = arg;
    atomic_store(&busy, CROWD);
    for (int i = 0; i < CROWD; i++)
        tasks[i] = support_spawn(make_and_remove, NULL);
    while (atomic_load(&busy) > 0) {
        int n = most_helpers();
        *most = n > *most ? n : *most;
        CHECK_OK(pirn_sleep(pirn_after_us(100)));
    }
    for (int i = 0; i < CROWD; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

static int most_of_a_run(int workers, int limit)
{
    int most = 0;
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = workers;
    config.max_kernel_threads = limit;
    CHECK_OK(support_run_with(&config, crowd, &most));
    return most;
}

START_TEST(kernel_threads_are_limited)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    {
        int most = most_of_a_run(w, 1);
        CHECK_EQ(most, 1); /* one that is seen, or this tests nothing */
        CHECK_LE(most_of_a_run(w, 2), 2);
        CHECK_LE(most_of_a_run(w, 0), 4);
    }
    pirn_config config = PIRN_CONFIG_INIT;
    config.max_kernel_threads = -1;
    int status;
    CHECK_EQ(pirn_run_with(&config, crowd, &status, &status), -EINVAL);
    support_no_more_than(before);
}
END_TEST

/* ---- FIFOs that nobody opens do not keep others from their files ----------------------------- */

struct opening {
    char path[FILES_PATH];
    atomic_int began, rc;
};

static int open_fifo(void *arg)
{
    struct opening *o = arg;
    atomic_store(&o->began, 1);
    o->rc = pirn_openat(AT_FDCWD, o->path, O_RDONLY, 0, PIRN_NEVER);
    return 0;
}

static int beside_fifos(void *arg)
{
    enum {
        FIFOS = 10
    };
    static struct opening o[FIFOS];
    pirn_task *tasks[FIFOS];
    struct stat st;
    (void)arg;
    for (int i = 0; i < FIFOS; i++) {
        files_path(o[i].path, "fifo");
        atomic_store(&o[i].began, 0);
        CHECK_OK(mkfifo(o[i].path, 0600));
        tasks[i] = support_spawn(open_fifo, &o[i]);
    }
    for (int i = 0; i < FIFOS; i++) {
        support_until(&o[i].began, 1);
        support_until_waiting(tasks[i]);
    }
    CHECK_OK(pirn_fstatat(AT_FDCWD, files_dir, &st, 0, PIRN_NEVER));
    for (int i = 0; i < FIFOS; i += 2) { /* some get what they wait for, the last ones first */
        int k = FIFOS - 1 - i;
        int fd = pirn_openat(AT_FDCWD, o[k].path, O_WRONLY, 0, PIRN_NEVER);
        CHECK_GE(fd, 0);
        CHECK_OK(support_join(tasks[k]));
        CHECK_GE(o[k].rc, 0);
        CHECK_OK(pirn_close(fd));
        CHECK_OK(pirn_close(o[k].rc));
    }
    for (int i = 0; i < FIFOS; i += 2) { /* and some are told not to wait any more */
        CHECK_OK(pirn_cancel(tasks[i], NULL));
        CHECK_OK(support_join(tasks[i]));
        CHECK_EQ(o[i].rc, -ECANCELED);
    }
    for (int i = 0; i < FIFOS; i++)
        CHECK_OK(unlink(o[i].path));
    return 0;
}

START_TEST(many_opens_that_wait)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_fifos, NULL));
    support_no_more_than(before);
}
END_TEST

/* A signal's handler without SA_RESTART, while a plain thread waits for a FIFO's other end. */
static atomic_int interruptions;

static void on_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&interruptions, 1);
}

static void *open_on_thread(void *arg)
{
    open_fifo(arg);
    return NULL;
}

START_TEST(an_open_that_is_interrupted)
{
    static struct opening o;
    struct sigaction action = {.sa_handler = on_signal}, old;
    if (support_tsan()) /* it holds back signals to threads that sleep in the kernel */
        return;
    CHECK_OK(sigaction(SIGUSR1, &action, &old));
    files_path(o.path, "fifo");
    CHECK_OK(mkfifo(o.path, 0600));
    pthread_t thread = support_thread(open_on_thread, &o);
    support_until(&o.began, 1);
    for (int i = 0; i < 10; i++) {
        support_pause_ms(1);
        CHECK_OK(pthread_kill(thread, SIGUSR1));
        while (atomic_load(&interruptions) <= i && atomic_load(&o.rc) == 0)
            support_pause_ms(1);
    }
    int fd;
    while ((fd = open(o.path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 && o.rc == 0)
        support_pause_ms(1);
    support_thread_join(thread);
    CHECK_GE(o.rc, 1);
    CHECK_OK(close(o.rc));
    CHECK_OK(close(fd));
    CHECK_OK(unlink(o.path));
    CHECK_OK(sigaction(SIGUSR1, &old, NULL));
}
END_TEST

SUPPORT_MAIN("file_limits", begin, kernel_threads_are_limited, many_opens_that_wait,
             an_open_that_is_interrupted, end)
