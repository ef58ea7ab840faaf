/* Files into sockets, and several buffers in one call. */
#include "tests/support.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    SIZE = 3 * 1024 * 1024 + 4321 /* several pieces, and not a whole number of pages */
};

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 12));
}

/* In the build's folder: on a disk, if there is one. */
static int make_file(void)
{
    static uint8_t data[SIZE];
    char path[] = PIRN_BIN_DIR "/sendfile-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_OK(unlink(path));
    for (size_t i = 0; i < SIZE; i++)
        data[i] = byte_at(i);
    CHECK_EQ(write(fd, data, SIZE), SIZE);
    return fd;
}

struct reading {
    int fd;
    size_t offset, n;
    bool slow;
};

/* Reads all until the end, and compares. */
static void *read_thread(void *arg)
{
    struct reading *r = arg;
    static _Thread_local uint8_t buf[1 << 16];
    size_t got = 0;
    for (;;) {
        ssize_t n = read(r->fd, buf, r->slow ? 20000 : sizeof(buf));
        CHECK_GE(n, 0);
        if (n == 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(buf[i], byte_at(r->offset + got + (size_t)i));
        got += (size_t)n;
        if (r->slow && got % 7 == 0)
            support_pause_ms(1);
    }
    CHECK_EQ(got, r->n);
    return NULL;
}

/* One transfer of [offset, offset + n), or to the end, over that pair; checked by a reader. */
static void send_part(int file, int pair[2], off_t offset, size_t n, bool slow, ssize_t expected)
{
    struct reading r = {pair[0], (size_t)offset, (size_t)expected, slow};
    pthread_t thread = support_thread(read_thread, &r);
    CHECK_EQ(pirn_sendfile(pair[1], file, offset, n, PIRN_NEVER), expected);
    CHECK_OK(pirn_close(pair[1]));
    support_thread_join(thread);
    CHECK_OK(pirn_close(pair[0]));
}

static void make_pair(int kind, int pair[2]) /* [0] is read from, [1] written to */
{
    if (kind == 0)
        support_tcp_pair(pair);
    else if (kind == 1)
        support_pair(pair);
    else
        support_pipe(pair);
}

static int the_file;

static void files(void)
{
    static const struct {
        off_t offset;
        size_t n;
        ssize_t sent;
    } parts[] = {{0, 0, SIZE}, {0, SIZE, SIZE},          {5000, 10000, 10000},
                 {4096, 1, 1}, {12345, 0, SIZE - 12345}, {SIZE - 5, 100, 5},
                 {SIZE, 0, 0}, {SIZE + 9, 7, 0}};
    for (int kind = 0; kind < 3; kind++)
        for (int nonblocking = 0; nonblocking < 2; nonblocking++)
            for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                int pair[2];
                make_pair(kind, pair);
                support_nonblock(pair[1], nonblocking);
                if (i % 3 == 0) /* from the disk */
                    CHECK_OK(posix_fadvise(the_file, 0, 0, POSIX_FADV_DONTNEED));
                CHECK_EQ(lseek(the_file, 77, SEEK_SET), 77);
                send_part(the_file, pair, parts[i].offset, parts[i].n, i < 2, parts[i].sent);
                CHECK_EQ(lseek(the_file, 0, SEEK_CUR), 77); /* the position stays */
            }
}

START_TEST(files_into_sockets)
{
    the_file = make_file();
    CHECK_OK(fsync(the_file));
    support_everywhere(files);
    close(the_file);
}
END_TEST

static void refused(void)
{
    int pair[2], file = make_file();
    support_tcp_pair(pair);
    CHECK_EQ(pirn_sendfile(-1, file, 0, 1, PIRN_NEVER), -EBADF);
    CHECK_EQ(pirn_sendfile(pair[1], -1, 0, 1, PIRN_NEVER), -EBADF);
    CHECK_EQ(pirn_sendfile(pair[1], file, -1, 1, PIRN_NEVER), -EINVAL);
    CHECK_OK(close(pair[0]));
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) { /* no signal ends the program */
        support_nonblock(pair[1], nonblocking);
        ssize_t n;
        while ((n = pirn_sendfile(pair[1], file, 0, 0, PIRN_NEVER)) > 0)
            ;
        CHECK(n == -EPIPE || n == -ECONNRESET);
    }
    CHECK_OK(pirn_close(pair[1]));
    CHECK_OK(pirn_close(file));
}

START_TEST(a146_nobody_reads_the_file)
{
    support_everywhere(refused);
}
END_TEST

/* Stopped half-way: the count says where, the cancel is pending, and the rest can follow. */
static int send_it(void *arg)
{
    int *pair = arg;
    ssize_t n = pirn_sendfile(pair[1], the_file, 0, 0, PIRN_NEVER);
    CHECK_EQ(pirn_yield(), -ECANCELED);
    return (int)n;
}

static int stopped(void *arg)
{
    (void)arg;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int pair[2];
        support_pair(pair);
        support_nonblock(pair[1], nonblocking);
        pirn_task *task = support_spawn(send_it, pair);
        support_until_waiting(task);
        while (pirn_poll(pair[1], POLLOUT, PIRN_NOW) > 0)
            CHECK_OK(pirn_sleep(pirn_after_us(100))); /* until it is full */
        support_until_waiting(task);
        CHECK_OK(pirn_cancel(task, NULL));
        int sent = support_join(task);
        CHECK(sent > 0 && sent < SIZE);
        CHECK_EQ(support_drain(pair[0]), sent);
        send_part(the_file, pair, sent, 0, false, SIZE - sent);

        support_pair(pair);
        support_nonblock(pair[1], nonblocking);
        ssize_t n = pirn_sendfile(pair[1], the_file, 0, 0, pirn_after_ms(5));
        CHECK(n > 0 && n < SIZE);
        CHECK_EQ(pirn_sendfile(pair[1], the_file, n, 0, pirn_after_ms(1)), -ETIMEDOUT);
        CHECK_EQ(support_drain(pair[0]), n);
        CHECK_OK(pirn_close(pair[0]));
        CHECK_OK(pirn_close(pair[1]));
    }
    return 0;
}

START_TEST(a150_a_file_stopped_half_way)
{
    the_file = make_file();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, stopped, NULL));
    close(the_file);
}
END_TEST

/* ---- Several buffers ------------------------------------------------------------------------------------- */

enum {
    BUFFERS = 1024
};

static void vectors(void)
{
    static uint8_t data[SIZE];
    struct iovec iov[BUFFERS];
    for (size_t i = 0; i < SIZE; i++)
        data[i] = byte_at(i);
    size_t at = 0, total = 0;
    for (int i = 0; i < BUFFERS; i++) { /* some empty, of different lengths */
        size_t len = i % 5 ? (size_t)(i % 7) * 1000 + 1 : 0;
        iov[i] = (struct iovec){data + at, len};
        at += len;
    }
    total = at;
    CHECK_LE(total, SIZE);
    for (int kind = 0; kind < 3; kind++)
        for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
            int pair[2];
            make_pair(kind, pair);
            support_nonblock(pair[1], nonblocking);
            struct reading r = {pair[0], 0, total, true};
            pthread_t thread = support_thread(read_thread, &r);
            CHECK_EQ(pirn_writev(pair[1], iov, BUFFERS, PIRN_NEVER), total);
            CHECK_OK(pirn_close(pair[1]));
            support_thread_join(thread);
            CHECK_OK(pirn_close(pair[0]));
        }

    /* A file: written and read whole, also from the disk. */
    char path[] = PIRN_BIN_DIR "/vector-XXXXXX";
    int file = mkostemp(path, O_CLOEXEC);
    CHECK_OK(unlink(path));
    CHECK_EQ(pirn_writev(file, iov, BUFFERS, PIRN_NEVER), total);
    CHECK_OK(fsync(file));
    uint8_t *back = calloc(1, total);
    struct iovec into[] = {
        {back, 10}, {NULL, 0}, {back + 10, total / 2}, {back + 10 + total / 2, total}};
    into[3].iov_len = total - total / 2 - 10;
    for (int cold = 0; cold < 2; cold++) {
        if (cold)
            CHECK_OK(posix_fadvise(file, total / 3 / 4096 * 4096, 0, POSIX_FADV_DONTNEED));
        memset(back, 0, total);
        CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
        CHECK_EQ(pirn_readv(file, into, 4, PIRN_NEVER), total);
        CHECK(memcmp(back, data, total) == 0);
        CHECK_EQ(pirn_readv(file, into, 4, PIRN_NEVER), 0); /* the end */
    }
    CHECK_EQ(pirn_readv(file, into, 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_writev(file, into, BUFFERS + 1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_readv(file, into, -1, PIRN_NEVER), -EINVAL);
    into[1].iov_len = 1;
    CHECK_EQ(pirn_readv(file, into, 2, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_readv(-1, into, 1, PIRN_NEVER), -EBADF);
    CHECK_OK(pirn_close(file));
    free(back);
}

START_TEST(s123_all_of_several_buffers)
{
    support_everywhere(vectors);
}
END_TEST

static void *send_later(void *arg)
{
    support_pause_ms(2);
    CHECK_EQ(write(*(int *)arg, "abcdefgh", 8), 8);
    return NULL;
}

static void small_vectors(void)
{
    int pair[2], quiet[2];
    char a[3], b[10];
    struct iovec into[] = {{a, 3}, {b, 10}}, from[] = {{(void *)"one", 3}, {(void *)"two", 3}};
    support_pair(pair);
    pthread_t thread = support_thread(send_later, &pair[1]);
    CHECK_EQ(pirn_readv(pair[0], into, 2, PIRN_NEVER),
             8); /* what is there, not all that would fit */
    support_thread_join(thread);
    CHECK(memcmp(a, "abc", 3) == 0 && memcmp(b, "defgh", 5) == 0);
    CHECK_EQ(pirn_readv(pair[0], into, 2, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_readv(pair[0], into, 2, pirn_after_ms(1)), -ETIMEDOUT);
    CHECK_OK(pirn_close(pair[1]));
    CHECK_EQ(pirn_readv(pair[0], into, 2, PIRN_NEVER), 0);
    CHECK_EQ(pirn_writev(pair[0], from, 2, PIRN_NEVER), -EPIPE); /* no signal */
    CHECK_OK(pirn_close(pair[0]));
    support_pipe(quiet);
    CHECK_OK(pirn_close(quiet[0]));
    CHECK_EQ(pirn_writev(quiet[1], from, 2, PIRN_NEVER), -EPIPE);
    CHECK_OK(pirn_close(quiet[1]));

    CHECK_OK(
        socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair)); /* one datagram, one message */
    CHECK_EQ(pirn_writev(pair[0], from, 2, PIRN_NEVER), 6);
    CHECK_EQ(pirn_writev(pair[0], from, 1, PIRN_NEVER), 3);
    CHECK_EQ(pirn_readv(pair[1], into, 2, PIRN_NEVER), 6);
    CHECK(memcmp(a, "one", 3) == 0 && memcmp(b, "two", 3) == 0);
    CHECK_EQ(pirn_readv(pair[1], into, 2, PIRN_NEVER), 3);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));
}

START_TEST(a146_small_vectors)
{
    support_everywhere(small_vectors);
}
END_TEST

SUPPORT_MAIN("sendfile", files_into_sockets, a146_nobody_reads_the_file,
             a150_a_file_stopped_half_way, s123_all_of_several_buffers, a146_small_vectors)
