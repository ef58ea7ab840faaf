/* wraps pirn_sys_ppoll */
/*
 * Plain threads' reads and writes of pipes and sockets in blocking mode: what is ready for a byte
 * need not be for all, nor for everybody. The deadline counts, and a close ends them.
 */
#include "tests/support.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    MUCH = 1024 * 1024
};

enum kind {
    PIPE,
    SOCKET,
    FIFO, /* a pipe with a name */
    KINDS
};

static char much[MUCH];

static void open_kind(enum kind kind, int fds[2])
{
    char dir[] = "/tmp/pirn-XXXXXX", path[sizeof(dir) + 8];
    if (kind == PIPE) {
        support_pipe(fds);
        return;
    }
    if (kind == SOCKET) {
        support_pair(fds);
        return;
    }
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/fifo", dir);
    CHECK_OK(mkfifo(path, 0600));
    fds[0] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    fds[1] = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fds[0] >= 0 && fds[1] >= 0);
    support_nonblock(fds[0], false);
    CHECK_OK(unlink(path));
    CHECK_OK(rmdir(dir));
}

static ssize_t write_much(int fd, bool vector, pirn_time deadline)
{
    struct iovec three[] = {{much, 10000}, {NULL, 0}, {much + 10000, MUCH - 10000}};
    return vector ? pirn_writev(fd, three, 3, deadline) : pirn_write(fd, much, MUCH, deadline);
}

/* ---- The deadline ---------------------------------------------------------------------------- */

START_TEST(a_write_that_nobody_reads_ends_with_its_deadline)
{
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (int vector = 0; vector < 2; vector++) {
            int fds[2];
            open_kind(kind, fds);
            ssize_t n = write_much(fds[1], vector != 0, pirn_after_ms(10));
            CHECK(n > 0 && n < MUCH);
            CHECK_EQ(support_drain(fds[0]), n); /* so many, and no more */
            n = write_much(fds[1], vector != 0, PIRN_NOW);
            CHECK(n > 0 && n < MUCH);
            CHECK_EQ(write_much(fds[1], vector != 0, PIRN_NOW), -ETIMEDOUT);
            close(fds[0]);
            close(fds[1]);
        }
}
END_TEST

struct writer {
    int fd;
    bool vector;
    ssize_t n;
};

static void *write_all(void *arg)
{
    struct writer *w = arg;
    w->n = write_much(w->fd, w->vector, PIRN_NEVER);
    return NULL;
}

START_TEST(all_of_it_is_written_in_its_order)
{
    char *got = malloc(MUCH);
    CHECK(got);
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)((i * 2654435761u) >> 13);
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (int vector = 0; vector < 2; vector++) {
            int fds[2];
            open_kind(kind, fds);
            struct writer w = {fds[1], vector != 0, 0};
            pthread_t thread = support_thread(write_all, &w);
            for (size_t n = 0; n < MUCH;) {
                ssize_t more = pirn_read(fds[0], got + n, MUCH - n, PIRN_NEVER);
                CHECK(more > 0);
                n += (size_t)more;
            }
            support_thread_join(thread);
            CHECK_EQ(w.n, MUCH);
            CHECK_OK(memcmp(got, much, MUCH));
            close(fds[0]);
            close(fds[1]);
        }
    free(got);
}
END_TEST

/* ---- A close --------------------------------------------------------------------------------- */

START_TEST(a_close_ends_a_write_that_has_begun)
{
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (int vector = 0; vector < 2; vector++) {
            int fds[2];
            open_kind(kind, fds);
            struct writer w = {fds[1], vector != 0, 0};
            pthread_t thread = support_thread(write_all, &w);
            while (support_poll(fds[0], POLLIN) != POLLIN) {}
            support_pause_ms(5); /* it has filled it, or else it has that before it */
            CHECK_OK(pirn_close(fds[1]));
            support_thread_join(thread);
            CHECK(w.n == -EBADF || (w.n > 0 && w.n < MUCH));
            close(fds[0]);
        }
}
END_TEST

/* ---- Somebody else comes first --------------------------------------------------------------- */

static _Atomic(const int *) stage; /* the next wait sees it readable, but another is first */

int __wrap_pirn_sys_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout);
int __real_pirn_sys_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout);

int __wrap_pirn_sys_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout)
{
    const int *ends = atomic_exchange(&stage, NULL);
    char c;
    if (ends != NULL)
        support_send_all(ends[1], "x", 1);
    int rc = __real_pirn_sys_ppoll(fds, n, timeout);
    if (ends != NULL)
        CHECK_EQ(read(ends[0], &c, 1), 1);
    return rc;
}

START_TEST(a_read_whose_byte_another_took_waits_on)
{
    for (enum kind kind = 0; kind < FIFO; kind++) {
        int fds[2];
        char c;
        open_kind(kind, fds);
        atomic_store(&stage, fds);
        CHECK_EQ(pirn_read(fds[0], &c, 1, pirn_after_ms(10)), -ETIMEDOUT);
        CHECK(atomic_load(&stage) == NULL);
        close(fds[0]);
        close(fds[1]);
    }
}
END_TEST

SUPPORT_MAIN("io_thread", a_write_that_nobody_reads_ends_with_its_deadline,
             all_of_it_is_written_in_its_order, a_close_ends_a_write_that_has_begun,
             a_read_whose_byte_another_took_waits_on)
