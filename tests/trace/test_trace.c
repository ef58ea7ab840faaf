/*
 * The tracer (trace.h) itself: what blocks on a worker fails under it and is named; the same on a
 * plain thread, between support_blocking_begin and _end, or in a form that does not wait, passes.
 *
 * Each case is this program once more, with the tracer preloaded: `trace NAME WHERE`.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/support.h"

enum {
    FAILED = 97,
    SKIPPED = 77
};

static char file_path[] = "/var/tmp/pirn-trace-XXXXXX"; /* /tmp may be in memory */
static int file = -1;

static void open_file(void)
{
    file = mkstemp(file_path);
    CHECK_GE(file, 0);
    CHECK_OK(unlink(file_path));
}

/* ---- What blocks, or may ---- */

static void block_read(void)
{
    int fds[2];
    char c;
    support_pipe(fds);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(read(fds[0], &c, 1), 1);
}

static void block_write(void)
{
    int fds[2];
    support_pipe(fds);
    CHECK_EQ(write(fds[1], "x", 1), 1);
}

static void block_recv(void)
{
    int fds[2];
    char c;
    support_pair(fds);
    CHECK_EQ(send(fds[1], "x", 1, MSG_DONTWAIT), 1);
    CHECK_EQ(recv(fds[0], &c, 1, 0), 1);
}

static void block_send(void)
{
    int fds[2];
    support_pair(fds);
    CHECK_EQ(send(fds[1], "x", 1, 0), 1);
}

static int accept_from(int flags)
{
    struct sockaddr_in addr;
    int listener = support_listen(&addr, 1), fd = support_socket();
    support_nonblock(fd, true);
    support_nonblock(listener, flags != 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EINPROGRESS, 1);
    return accept4(listener, NULL, NULL, flags);
}

static void block_accept(void)
{
    CHECK_GE(accept_from(0), 0);
}

static void block_connect(void)
{
    struct sockaddr_in addr;
    support_listen(&addr, 1);
    CHECK_OK(connect(support_socket(), (struct sockaddr *)&addr, sizeof(addr)));
}

static void block_nanosleep(void)
{
    usleep(1);
}

static void block_futex(void)
{
    uint32_t word = 1;
    struct timespec t = {0, 1};
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &t, NULL, 0);
}

static void *post(void *semaphore)
{
    support_pause_ms(1);
    sem_post(semaphore);
    return NULL;
}

static void block_semaphore(void)
{
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    pthread_t thread = support_thread(post, &semaphore);
    while (sem_wait(&semaphore) != 0) {}
    support_thread_join(thread);
}

static struct {
    pthread_mutex_t mutex;
    atomic_int held;
} shared = {PTHREAD_MUTEX_INITIALIZER, 0};

static void *hold(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&shared.mutex);
    atomic_store(&shared.held, 1);
    support_pause_ms(1000);
    pthread_mutex_unlock(&shared.mutex);
    return NULL;
}

static void block_mutex(void) /* a holder asleep */
{
    pthread_t thread = support_thread(hold, NULL);
    while (!atomic_load(&shared.held)) {}
    pthread_mutex_lock(&shared.mutex);
    pthread_mutex_unlock(&shared.mutex);
    support_thread_join(thread);
}

static void block_fsync(void)
{
    CHECK_OK(fsync(file));
}

static void block_pread(void)
{
    char c;
    CHECK_EQ(pread(file, &c, 1, 0), 0);
}

static void block_flock(void)
{
    CHECK_OK(flock(file, LOCK_EX));
}

static void block_lock(void)
{
    struct flock lock = {.l_type = F_WRLCK};
    CHECK_OK(fcntl(file, F_SETLKW, &lock));
}

static void block_waitid(void)
{
    siginfo_t info;
    CHECK_EQ(waitid(P_ALL, 0, &info, WEXITED), -1);
}

static void block_wait4(void)
{
    CHECK_EQ(waitpid(-1, NULL, 0), -1);
}

static void block_poll(void)
{
    struct pollfd p = {-1, 0, 0};
    CHECK_OK(poll(&p, 1, 1));
}

static void block_ppoll(void)
{
    struct timespec t = {0, 1};
    CHECK_OK(ppoll(NULL, 0, &t, NULL));
}

static void block_select(void)
{
    struct timeval t = {0, 1};
    CHECK_OK(select(0, NULL, NULL, NULL, &t));
}

static void block_epoll(void)
{
    struct epoll_event event;
    CHECK_OK(epoll_wait(epoll_create1(EPOLL_CLOEXEC), &event, 1, 1));
}

static void block_sigtimedwait(void)
{
    sigset_t none;
    struct timespec t = {0, 1};
    sigemptyset(&none);
    CHECK_EQ(sigtimedwait(&none, NULL, &t), -1);
}

static void block_fifo(void)
{
    char path[] = "/tmp/pirn-trace-XXXXXX";
    int fd;
    close(mkstemp(path));
    CHECK_OK(unlink(path));
    CHECK_OK(mkfifo(path, 0600));
    CHECK_GE(fd = open(path, O_RDWR | O_CLOEXEC), 0);
    CHECK_GE(open(path, O_RDONLY | O_CLOEXEC), 0);
    CHECK_OK(unlink(path));
}

static void block_eventfd(void)
{
    uint64_t value;
    CHECK_EQ(read(eventfd(1, EFD_CLOEXEC), &value, sizeof(value)), sizeof(value));
}

static void block_spawn(void)
{
    char *const argv[] = {"true", NULL};
    pid_t pid;
    CHECK_OK(posix_spawnp(&pid, "true", NULL, NULL, argv, NULL));
    support_blocking_begin();
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    support_blocking_end();
}

/* ---- What does not ---- */

static void *count(void *arg)
{
    int *n = arg;
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&shared.mutex);
        ++*n;
        pthread_mutex_unlock(&shared.mutex);
    }
    return NULL;
}

static void fine(void)
{
    int fds[2], n = 0, fd;
    char c;
    uint64_t one = 1;
    struct timespec t = {0, 0};
    struct timeval tv = {0, 0};
    struct epoll_event event;
    struct pollfd p = {-1, 0, 0};
    siginfo_t info;
    support_pair(fds);
    CHECK_EQ(recv(fds[0], &c, 1, MSG_DONTWAIT), -1);
    CHECK_EQ(send(fds[0], "x", 1, MSG_DONTWAIT), 1);
    support_nonblock(fds[1], true);
    CHECK_EQ(read(fds[1], &c, 1), 1);
    CHECK_EQ(read(fds[1], &c, 1), -1);
    CHECK_GE(accept_from(SOCK_CLOEXEC), -1);
    CHECK_OK(poll(&p, 1, 0));
    CHECK_OK(ppoll(&p, 1, &t, NULL));
    CHECK_OK(select(0, NULL, NULL, NULL, &tv));
    CHECK_OK(epoll_wait(epoll_create1(EPOLL_CLOEXEC), &event, 1, 0));
    CHECK_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOHANG), -1);
    CHECK_EQ(write(eventfd(0, EFD_CLOEXEC), &one, sizeof(one)), sizeof(one));
    CHECK_GE(fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC), 0);
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_OK(flock(file, LOCK_EX | LOCK_NB));
    fprintf(stderr, "printed\n");
    pthread_t thread = support_thread(count, &n);
    count(&n);
    support_thread_join(thread);
    CHECK_EQ(n, 40000);
    CHECK_OK(pirn_sleep(pirn_after_us(100)));
}

static const struct test_case {
    const char *name; /* of the call, as the tracer says it */
    void (*fn)(void);
} cases[] = {
    {"read", block_read},
    {"write", block_write},
    {"recvfrom", block_recv},
    {"sendto", block_send},
    {"accept4", block_accept},
    {"connect", block_connect},
    {"clock_nanosleep", block_nanosleep},
    {"futex", block_futex},
    {"futex (op", block_semaphore},
    {"futex (a mutex", block_mutex},
    {"fsync", block_fsync},
    {"pread64", block_pread},
    {"flock", block_flock},
    {"fcntl", block_lock},
    {"waitid", block_waitid},
    {"wait4", block_wait4},
    {"p", block_poll}, /* poll or ppoll */
    {"ppoll", block_ppoll},
    {"pselect6", block_select},
    {"epoll_", block_epoll},
    {"rt_sigtimedwait", block_sigtimedwait},
    {"openat", block_fifo},
    {"read", block_eventfd},
    {"clone", block_spawn},
    {NULL, fine},
};
enum {
    CASES = sizeof(cases) / sizeof(cases[0])
};

/* ---- One case ---- */

static int in_coroutine(void *fn)
{
    ((const struct test_case *)fn)->fn();
    return 0;
}

static int allowed(void *fn)
{
    support_blocking_begin();
    ((const struct test_case *)fn)->fn();
    support_blocking_end();
    return 0;
}

static void *on_thread(void *fn)
{
    ((const struct test_case *)fn)->fn();
    return NULL;
}

static int beside(void *fn) /* a plain thread, made by a worker */
{
    atomic_int *done = calloc(1, sizeof(*done));
    CHECK(done);
    support_thread_join(support_thread(on_thread, fn));
    free(done);
    return 0;
}

static int run_case(const struct test_case *one, char where)
{
    open_file();
    CHECK_OK(support_run(2,
                         where == 'w'   ? in_coroutine
                         : where == 'a' ? allowed
                                        : beside,
                         (void *)one));
    return 0;
}

/* ---- All of them ---- */

static int run_traced(const char *self, int index, char where, char *ret_text, size_t size)
{
    char number[16], place[2] = {where, 0};
    int fds[2], status;
    size_t used = 0;
    snprintf(number, sizeof(number), "%d", index);
    support_pipe(fds);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        setenv("LD_PRELOAD", PIRN_BIN_DIR "/tests/libpirn_trace.so", 1);
        unsetenv("PIRN_TRACE_DIR"); /* these offences are none */
        dup2(fds[1], 2);
        execl(self, "trace", number, place, NULL);
        _exit(127);
    }
    close(fds[1]);
    for (ssize_t n; (n = read(fds[0], ret_text + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    ret_text[used] = '\0';
    close(fds[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    static char text[65536];
    char expected[128];
    if (argc == 3)
        return run_case(&cases[atoi(argv[1])], argv[2][0]);
#ifdef PIRN_SANITIZED
    printf("no tracer in a build with sanitizers\n");
    return SKIPPED;
#endif
    CHECK_EQ(access(PIRN_BIN_DIR "/tests/libpirn_trace.so", R_OK), 0);
    for (int i = 0; i < CASES; i++) {
        const struct test_case *one = &cases[i];
        int rc = run_traced("/proc/self/exe", i, 'w', text, sizeof(text));
        if (strstr(text, "not traced: ")) {
            printf("%s", text);
            return SKIPPED;
        }
        snprintf(expected, sizeof(expected), "blocking call on a worker: %s",
                 one->name ? one->name : "");
        if (rc != (one->name ? FAILED : 0) ||
            (strstr(text, expected) != NULL) != (one->name != NULL))
            support_fail(__FILE__, __LINE__, __func__, "%d, %s: %d, %s", i, expected, rc, text);
        for (const char *where = "at"; *where; where++) {
            if (one->name == NULL)
                continue; /* it suspends */
            rc = run_traced("/proc/self/exe", i, *where, text, sizeof(text));
            if (rc != 0 || strstr(text, "blocking call"))
                support_fail(__FILE__, __LINE__, __func__, "%d %s: %d, %s", i, where, rc, text);
        }
    }
    return 0;
}
