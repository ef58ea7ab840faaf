/* wraps pirn_sys_sendfile */
/* wraps pirn_sys_preadv2 */
/* wraps pirn_sys_pread */
/* wraps pirn_registry_stop_fd */
/*
 * pirn_sendfile between two of its pieces, while one of its descriptors is closed and the number
 * given to another file or connection: nothing of that file is sent, and nothing goes to that
 * connection.
 */
#include "tests/support.h"

#include <fcntl.h>

#include "runtime/registry.h"

ssize_t __real_pirn_sys_sendfile(int out, int in, off_t *offset, size_t n);
ssize_t __wrap_pirn_sys_sendfile(int out, int in, off_t *offset, size_t n);
ssize_t __real_pirn_sys_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_pirn_sys_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __real_pirn_sys_pread(int fd, void *buf, size_t n, off_t at);
ssize_t __wrap_pirn_sys_pread(int fd, void *buf, size_t n, off_t at);
bool __real_pirn_registry_stop_fd(int fd, const struct fd_users *only);
bool __wrap_pirn_registry_stop_fd(int fd, const struct fd_users *only);

enum {
    SIZE = 3 << 20 /* several pieces */
};

/* When the first piece has been sent, or the second is about to be read, who does so waits until a
 * close of victim has found somebody there, or is through and next has its number. */
static struct {
    int file, out[2]; /* out[1]: read from */
    int victim, next[2], second;
    bool direct;
    atomic_int armed, inside, looks, closed, over;
    ssize_t sent;
    size_t received;
} scene;

static void hold_up(void)
{
    if (!atomic_exchange(&scene.armed, 0))
        return;
    support_blocking_begin();
    atomic_store(&scene.inside, 1);
    while (atomic_load(&scene.looks) < 2 && !atomic_load(&scene.closed))
        usleep(100);
    support_blocking_end();
}

ssize_t __wrap_pirn_sys_sendfile(int out, int in, off_t *offset, size_t n)
{
    ssize_t sent = __real_pirn_sys_sendfile(out, in, offset, n);
    if (sent > 0)
        hold_up();
    return sent;
}

ssize_t __wrap_pirn_sys_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    if (at > 0)
        hold_up();
    return __real_pirn_sys_preadv2(fd, iov, n, at, flags);
}

ssize_t __wrap_pirn_sys_pread(int fd, void *buf, size_t n, off_t at)
{
    if (at > 0)
        hold_up();
    return __real_pirn_sys_pread(fd, buf, n, at);
}

bool __wrap_pirn_registry_stop_fd(int fd, const struct fd_users *only)
{
    atomic_fetch_add(&scene.looks, atomic_load(&scene.inside));
    return __real_pirn_registry_stop_fd(fd, only);
}

static int make_file(char with)
{
    static char data[SIZE];
    char path[] = PIRN_BIN_DIR "/sendfile-close-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_OK(unlink(path));
    memset(data, with, sizeof(data));
    CHECK_EQ(support_write(fd, data, SIZE), SIZE);
    return fd;
}

static void *closes(void *arg)
{
    (void)arg;
    while (!atomic_load(&scene.inside))
        usleep(100);
    CHECK_OK(pirn_close(scene.victim));
    /* Another number, if the ring of a spare thread was quicker. */
    scene.second = fcntl(scene.next[0], F_DUPFD_CLOEXEC, scene.victim);
    CHECK_GE(scene.second, 0);
    atomic_store(&scene.closed, 1);
    return NULL;
}

static void *receives(void *arg)
{
    static char buf[1 << 16];
    ssize_t n;
    (void)arg;
    while ((n = read(scene.out[1], buf, sizeof(buf))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(buf[i], 'a');
        scene.received += (size_t)n;
    }
    return NULL;
}

static void send_it(void)
{
    pthread_t receiver = support_thread(receives, NULL), closer = support_thread(closes, NULL);
    scene.sent = pirn_sendfile(scene.out[0], scene.file, 0, 0, pirn_after_s(10));
    CHECK(!atomic_load(&scene.armed));
    support_thread_join(closer);
    close(scene.next[0]);
    close(scene.second);
    if (scene.victim != scene.out[0])
        close(scene.out[0]);
    support_thread_join(receiver);
}

/* A part has gone where it was meant to, and nothing anywhere else. */
static void between_pieces(bool closes_out)
{
    support_pair(scene.out);
    support_nonblock(scene.out[0], scene.direct);
    scene.file = make_file('a');
    scene.next[1] = -1;
    if (closes_out)
        support_pair(scene.next);
    else
        scene.next[0] = make_file('b');
    scene.victim = closes_out ? scene.out[0] : scene.file;
    scene.received = 0;
    atomic_store(&scene.inside, 0);
    atomic_store(&scene.looks, 0);
    atomic_store(&scene.closed, 0);
    atomic_store(&scene.armed, 1);
    send_it();
    CHECK(scene.sent == -EBADF || (0 < scene.sent && scene.sent < SIZE));
    CHECK_EQ(scene.received, scene.sent < 0 ? 0 : (size_t)scene.sent);
    close(scene.out[1]);
    if (!closes_out)
        return;
    CHECK_EQ(support_drain(scene.next[1]), 0);
    close(scene.next[1]);
    close(scene.file);
}

static void each_way(void)
{
    for (int direct = 0; direct < 2; direct++) {
        scene.direct = direct != 0;
        between_pieces(false);
        between_pieces(true);
    }
}

START_TEST(nothing_goes_astray)
{
    support_everywhere(each_way);
}
END_TEST

SUPPORT_MAIN("net/sendfile_close", nothing_goes_astray)
