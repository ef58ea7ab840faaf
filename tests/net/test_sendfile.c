/* Files into sockets. */
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
    CHECK_EQ(support_write(fd, data, SIZE), SIZE);
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
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) { /* the file ends long before */
        support_nonblock(pair[1], nonblocking);
        CHECK_EQ(pirn_sendfile(pair[1], file, INT64_MAX - 5, 0, PIRN_NEVER), 0);
        CHECK_EQ(pirn_sendfile(pair[1], file, INT64_MAX - 5, 100, PIRN_NEVER), 0);
        CHECK_EQ(pirn_sendfile(pair[1], file, INT64_MAX, INT64_MAX, PIRN_NEVER), 0);
    }
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

/* A deadline is looked at between two pieces, also where nothing has to be waited for. */
static int late(void *arg)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)arg;
    CHECK_GE(null, 0);
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        support_nonblock(null, nonblocking != 0); /* then it is sendfile(2), if the two will do */
        ssize_t sent = pirn_sendfile(null, the_file, 0, SIZE, PIRN_NOW);
        CHECK(sent == -ETIMEDOUT || (sent > 0 && sent < SIZE));
        CHECK_EQ(pirn_sendfile(null, the_file, 0, SIZE, PIRN_NEVER), SIZE);
    }
    close(null);
    return 0;
}

START_TEST(a150_a_file_out_of_time)
{
    the_file = make_file();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, late, NULL));
    close(the_file);
}
END_TEST

SUPPORT_MAIN("sendfile", files_into_sockets, a146_nobody_reads_the_file,
             a150_a_file_stopped_half_way, a150_a_file_out_of_time)
