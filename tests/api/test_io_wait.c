/*
 * The calls that wait for a descriptor, on each kind of descriptor, blocking and not: the data is
 * there already, comes later, does not come in time, and the other end goes.
 */
#include "tests/support.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <termios.h>

/* ---- Kinds of descriptors ---------------------------------------------------------------- */

static void make_pty(int ends[2])
{
    ends[1] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[1] < 0) { /* no /dev/pts here: a pipe is the nearest thing */
        support_pipe(ends);
        return;
    }
    CHECK_OK(grantpt(ends[1]));
    CHECK_OK(unlockpt(ends[1]));
    ends[0] = open(ptsname(ends[1]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK_GE(ends[0], 0);
    struct termios t;
    CHECK_OK(tcgetattr(ends[0], &t));
    cfmakeraw(&t);
    CHECK_OK(tcsetattr(ends[0], TCSANOW, &t));
}

static void make_eventfd(int ends[2])
{
    ends[0] = eventfd(0, EFD_CLOEXEC);
    ends[1] = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
    CHECK(ends[0] >= 0 && ends[1] >= 0);
}

static void make_fifo(int ends[2])
{
    char path[] = "/tmp/pirn-fifo-XXXXXX";
    CHECK(mkdtemp(path));
    char name[sizeof(path) + 8];
    snprintf(name, sizeof(name), "%s/fifo", path);
    CHECK_OK(mkfifo(name, 0600));
    ends[0] = open(name, O_RDWR | O_CLOEXEC); /* so that it does not wait */
    support_blocking_begin();
    ends[1] = open(name, O_WRONLY | O_CLOEXEC);
    support_blocking_end();
    CHECK(ends[0] >= 0 && ends[1] >= 0);
    unlink(name);
    rmdir(path);
}

enum {
    SOCKET = 1,
    END = 2
}; /* recv works; closing ends[1] is seen as the end */

static const struct kind {
    const char *name;
    void (*make)(int ends[2]); /* read from 0, write to 1 */
    int flags;
} kinds[] = {
    {"pipe", support_pipe, END},
    {"unix", support_pair, SOCKET | END},
    {"tcp", support_tcp_pair, SOCKET | END},
    {"pty", make_pty, 0},
    {"eventfd", make_eventfd, 0},
    {"fifo", make_fifo, 0},
};

/* Eight bytes that are a fit value for an eventfd too. */
static const char word[8] = {1, 2, 3, 4, 5, 6, 7, 8};

/* ---- Ways to take a word from it --------------------------------------------------------- */

static ssize_t by_read(int fd, char *buf, size_t n, pirn_time deadline)
{
    return pirn_read(fd, buf, n, deadline);
}

static ssize_t by_recv(int fd, char *buf, size_t n, pirn_time deadline)
{
    return pirn_recv(fd, buf, n, 0, deadline);
}

static ssize_t by_recvmsg(int fd, char *buf, size_t n, pirn_time deadline)
{
    struct iovec vec[2] = {{buf, 3}, {buf + 3, n - 3}};
    struct msghdr msg = {.msg_iov = vec, .msg_iovlen = 2};
    return pirn_recvmsg(fd, &msg, 0, deadline);
}

static ssize_t by_poll(int fd, char *buf, size_t n, pirn_time deadline)
{
    int events = pirn_poll(fd, POLLIN, deadline);
    if (events < 0)
        return events;
    CHECK(events & (POLLIN | POLLHUP));
    return support_read(fd, buf, n);
}

static const struct way {
    ssize_t (*take)(int fd, char *buf, size_t n, pirn_time deadline);
    int needs;
} ways[] = {{by_read, 0}, {by_recv, SOCKET}, {by_recvmsg, SOCKET}, {by_poll, 0}};

enum {
    WAYS = 4,
    KINDS = 6
};

/* ---- Scenes ------------------------------------------------------------------------------ */

static void *write_later(void *arg)
{
    support_pause_ms(2);
    support_send_all(*(int *)arg, word, sizeof(word));
    return NULL;
}

static void *close_later(void *arg)
{
    support_pause_ms(2);
    close(*(int *)arg);
    return NULL;
}

static void put_word(const int ends[2])
{
    support_send_all(ends[1], word, sizeof(word));
    support_poll(ends[0], POLLIN); /* a terminal takes a while */
}

static void take_word(const struct way *way, int fd, pirn_time deadline)
{
    char buf[32];
    memset(buf, 0x5a, sizeof(buf));
    CHECK_EQ(way->take(fd, buf, sizeof(buf) - 4, deadline), sizeof(word));
    CHECK(memcmp(buf, word, sizeof(word)) == 0);
    for (size_t i = sizeof(word); i < sizeof(buf); i++)
        CHECK_EQ(buf[i], 0x5a); /* nothing beyond */
}

static void scene(const struct kind *kind, const struct way *way, bool nonblocking)
{
    int ends[2];
    char buf[32];
    kind->make(ends);
    if (nonblocking)
        support_nonblock(ends[0], true);

    memset(buf, 0x5a, sizeof(buf));
    CHECK_EQ(way->take(ends[0], buf, sizeof(buf), PIRN_NOW), -ETIMEDOUT);
    pirn_time until = pirn_after_ms(2);
    CHECK_EQ(way->take(ends[0], buf, sizeof(buf), until), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, until.ns);
    put_word(ends); /* the calls above do not take it later */
    for (size_t i = 0; i < sizeof(buf); i++)
        CHECK_EQ(buf[i], 0x5a);
    take_word(way, ends[0], PIRN_NOW); /* there already: a past deadline tries once */
    put_word(ends);
    take_word(way, ends[0], PIRN_NEVER);

    pirn_time deadlines[] = {PIRN_NEVER, pirn_after_s(1000)};
    for (int i = 0; i < 2; i++) {
        pthread_t thread = support_thread(write_later, &ends[1]);
        take_word(way, ends[0], deadlines[i]);
        support_thread_join(thread);
    }
    if (kind->flags & END) {
        pthread_t thread = support_thread(close_later, &ends[1]);
        CHECK_EQ(way->take(ends[0], buf, sizeof(buf), PIRN_NEVER), 0);
        support_thread_join(thread);
        CHECK_EQ(way->take(ends[0], buf, sizeof(buf), PIRN_NOW), 0);
    } else {
        close(ends[1]);
    }
    CHECK_OK(pirn_close(ends[0]));
}

static void scenes(void)
{
    for (int k = 0; k < KINDS; k++)
        for (int w = 0; w < WAYS; w++)
            if ((ways[w].needs & ~kinds[k].flags) == 0)
                for (int nonblocking = 0; nonblocking < 2; nonblocking++)
                    scene(&kinds[k], &ways[w], nonblocking);
}

START_TEST(every_kind)
{
    scenes();
    support_census before = support_count();
    support_everywhere(scenes);
    support_no_more_than(before);
}
END_TEST

/* ---- Cancelled in each ------------------------------------------------------------------- */

struct waiter {
    const struct way *way;
    int fd;
    char buf[32];
};

static int wait_for_word(void *arg)
{
    struct waiter *w = arg;
    return (int)w->way->take(w->fd, w->buf, sizeof(w->buf), pirn_after_s(1000));
}

static int cancel_each(void *arg)
{
    (void)arg;
    for (int i = 0; i < KINDS * WAYS * 2; i++) {
        const struct kind *kind = &kinds[i % KINDS];
        struct waiter w = {.way = &ways[i / KINDS % WAYS]};
        if (w.way->needs & ~kind->flags)
            continue;
        int ends[2];
        kind->make(ends);
        support_nonblock(ends[0], i / KINDS / WAYS);
        w.fd = ends[0];
        memset(w.buf, 0x5a, sizeof(w.buf));
        pirn_task *task = support_spawn(wait_for_word, &w);
        support_until_waiting(task);
        CHECK_OK(pirn_cancel(task, NULL));
        CHECK_EQ(support_join(task), -ECANCELED);
        support_send_all(ends[1], word, sizeof(word)); /* nobody eats it */
        for (size_t k = 0; k < sizeof(w.buf); k++)
            CHECK_EQ(w.buf[k], 0x5a);
        take_word(w.way, ends[0], PIRN_NEVER);
        close(ends[0]);
        close(ends[1]);
    }
    return 0;
}

START_TEST(cancelled_everywhere)
{
    for (int i = 0; i < support_rounds(10); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel_each, NULL));
}
END_TEST

SUPPORT_MAIN("io_wait", every_kind, cancelled_everywhere)
