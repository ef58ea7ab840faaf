/*
 * Reading and writing files: vectors, thousands at a time, without the cache, non-blocking, and
 * long ones beside others that want to run.
 */
#include "tests/file/files.h"

#include <limits.h>
#include <sys/uio.h>

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

/* ---- Vectors -------------------------------------------------------------------------------- */

static void vectors(void)
{
    char path[FILES_PATH], a[8], b[8], c[8];
    files_path(path, "vector");
    int fd = pirn_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0600, PIRN_NEVER);
    CHECK_GE(fd, 0);
    struct iovec out[] = {{"", 0}, {"abc", 3}, {"", 0}, {"defgh", 5}, {"i", 1}, {NULL, 0}};
    CHECK_EQ(pirn_writev(fd, out, 6, PIRN_NEVER), 9);
    CHECK_EQ(pirn_writev(fd, out + 4, 1, PIRN_NEVER), 1);
    CHECK_EQ(pirn_pwritev(fd, out + 1, 3, 100, PIRN_NEVER), 8);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
    CHECK(!files_hold(path, "abcdefghii", 10));
    struct iovec in[] = {{a, 2}, {NULL, 0}, {b, 3}, {c, 8}};
    CHECK_EQ(pirn_preadv(fd, in, 4, 100, PIRN_NEVER), 8);
    CHECK(memcmp(a, "ab", 2) == 0 && memcmp(b, "cde", 3) == 0 && memcmp(c, "fgh", 3) == 0);
    CHECK_EQ(pirn_preadv(fd, in, 4, 108, PIRN_NEVER), 0);
    CHECK_EQ(pirn_ftruncate(fd, 10, PIRN_NEVER), 0);
    CHECK_EQ(lseek(fd, 1, SEEK_SET), 1);
    CHECK_EQ(pirn_readv(fd, in, 4, PIRN_NEVER), 9);
    CHECK(memcmp(a, "bc", 2) == 0 && memcmp(b, "def", 3) == 0 && memcmp(c, "ghii", 4) == 0);
    CHECK_EQ(pirn_readv(fd, in, 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_readv(fd, NULL, 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_writev(fd, out, 1, PIRN_NEVER), 0); /* of nothing */
    CHECK_EQ(pirn_writev(fd, NULL, 1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_writev(fd, out, -1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_preadv(fd, in, 4, -1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_pwritev(fd, out, 6, -2, PIRN_NEVER), -EINVAL);
    struct iovec bad[] = {{a, 1}, {NULL, 1}}, huge[] = {{a, SSIZE_MAX}, {b, 1}};
    CHECK_EQ(pirn_readv(fd, bad, 2, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_readv(fd, huge, 2, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_readv(-1, in, 4, PIRN_NEVER), -EBADF);
    CHECK_EQ(pirn_readv(1 << 20, in, 4, PIRN_NEVER), -EBADF);
    struct iovec many[1025];
    for (int i = 0; i < 1025; i++)
        many[i] = (struct iovec){"x", 1};
    CHECK_EQ(pirn_pwritev(fd, many, 1024, 0, PIRN_NEVER), 1024);
    CHECK_EQ(pirn_pwritev(fd, many, 1025, 0, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_close(fd));
    int ends[2];
    support_pipe(ends);
    CHECK_EQ(pirn_writev(ends[1], out, 6, PIRN_NEVER), 9);
    CHECK_EQ(pirn_readv(ends[0], in, 4, PIRN_NEVER), 9); /* what is there, no more */
    CHECK_EQ(pirn_readv(ends[0], in, 4, pirn_after_ms(1)), -ETIMEDOUT);
    if (getenv("PIRN_FAULT") == NULL) /* an injected -EAGAIN has the ring asked */
        CHECK_EQ(pirn_preadv(ends[0], in, 4, 0, PIRN_NEVER), -ESPIPE);
    CHECK_OK(pirn_close(ends[0]));
    CHECK_EQ(pirn_writev(ends[1], out, 6, PIRN_NEVER), -EPIPE);
    CHECK_OK(pirn_close(ends[1]));
    CHECK_OK(unlink(path));
}

START_TEST(vectors_and_their_errors)
{
    support_everywhere(vectors);
}
END_TEST

enum {
    PIECES = 9,
    PIECE = 30001 /* so a pipe takes some and a part */
};

static int send_pieces(void *arg)
{
    struct iovec v[PIECES];
    for (int i = 0; i < PIECES; i++) {
        v[i] = (struct iovec){malloc(PIECE), PIECE};
        CHECK(v[i].iov_base);
        memset(v[i].iov_base, 'a' + i, PIECE);
    }
    CHECK_EQ(pirn_writev(*(int *)arg, v, PIECES, PIRN_NEVER), PIECES * PIECE);
    for (int i = 0; i < PIECES; i++)
        free(v[i].iov_base);
    return 0;
}

/* A write that the pipe takes part by part goes on where it was, inside a buffer as a rule. */
static void *send_pieces_on_thread(void *arg)
{
    support_nonblock(*(int *)arg, true); /* so that it takes them in parts */
    CHECK_OK(send_pieces(arg));
    return NULL;
}

static int pieces_through_a_pipe(void *arg)
{
    int ends[2];
    char buf[1000];
    bool on_thread = arg != NULL;
    pthread_t thread = 0;
    pirn_task *task = NULL;
    support_pipe(ends);
    if (on_thread)
        thread = support_thread(send_pieces_on_thread, &ends[1]);
    else
        task = support_spawn(send_pieces, &ends[1]);
    for (int at = 0; at < PIECES * PIECE;) {
        ssize_t n = pirn_read(ends[0], buf, (size_t)support_between(1, sizeof(buf)), PIRN_NEVER);
        CHECK(n > 0);
        for (ssize_t i = 0; i < n; i++, at++)
            CHECK_EQ(buf[i], 'a' + at / PIECE);
    }
    if (on_thread)
        support_thread_join(thread);
    else
        CHECK_OK(support_join(task));
    CHECK_OK(pirn_close(ends[0]));
    CHECK_OK(pirn_close(ends[1]));
    return 0;
}

START_TEST(vectors_in_parts)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, pieces_through_a_pipe, NULL));
        CHECK_OK(support_run(w, pieces_through_a_pipe, ""));
    }
}
END_TEST

/* ---- Thousands at a time -------------------------------------------------------------------- */

enum {
    WORDS = 1 << 20, /* of 4 bytes */
    READERS = 200
};

struct truth {
    int fd;
    bool aligned; /* for O_DIRECT */
    int rounds;
};

static uint32_t word_at(size_t i)
{
    return (uint32_t)(i * 2654435761u) ^ (uint32_t)(i >> 7);
}

static int make_truth(const char *path)
{
    uint32_t *words = malloc(WORDS * sizeof(uint32_t));
    CHECK(words);
    for (size_t i = 0; i < WORDS; i++)
        words[i] = word_at(i);
    files_write(path, words, WORDS * sizeof(uint32_t));
    free(words);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_OK(fsync(fd));
    return fd;
}

static int read_and_compare(void *arg)
{
    struct truth *t = arg;
    void *buf = NULL;
    CHECK_OK(posix_memalign(&buf, 4096, 16384));
    for (int round = 0; round < t->rounds; round++) {
        size_t n = 4096, at = (size_t)support_between(0, WORDS / 1024 - 2) * 1024;
        if (!t->aligned) {
            n = (size_t)support_between(1, 4096) * 4;
            at += (size_t)support_between(0, 1023);
        }
        ssize_t got;
        memset(buf, 0x5a, 16384);
        if (round % 3 == 2) { /* in two buffers */
            struct iovec v[] = {{buf, 4096}, {(char *)buf + 4096, n > 4096 ? n - 4096 : 0}};
            v[0].iov_len = n < 4096 ? n : 4096;
            got = pirn_preadv(t->fd, v, 2, (off_t)at * 4, PIRN_NEVER);
        } else {
            got = pirn_pread(t->fd, buf, n, (off_t)at * 4, PIRN_NEVER);
        }
        size_t there = (WORDS - at) * 4;
        CHECK_EQ(got, n < there ? n : there); /* all that there is, in one call */
        for (size_t i = 0; i < (size_t)got / 4; i++)
            CHECK_EQ(((uint32_t *)buf)[i], word_at(at + i));
    }
    free(buf);
    return 0;
}

static int read_in_a_crowd(void *arg)
{
    pirn_task *tasks[READERS];
    for (int i = 0; i < READERS; i++)
        tasks[i] = support_spawn(read_and_compare, arg);
    for (int i = 0; i < READERS; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(thousands_of_reads)
{
    char path[FILES_PATH];
    files_path(path, "truth");
    struct truth t = {make_truth(path), false, support_rounds(50)};
    FOR_WORKERS(w)
    {
        CHECK_OK(posix_fadvise(t.fd, 0, 0, POSIX_FADV_DONTNEED)); /* cold, and then warm */
        CHECK_OK(support_run(w, read_in_a_crowd, &t));
    }
    CHECK_OK(close(t.fd));
    t.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* no difference to a file */
    CHECK_OK(posix_fadvise(t.fd, 0, 0, POSIX_FADV_DONTNEED));
    CHECK_OK(support_run(2, read_in_a_crowd, &t));
    CHECK_OK(close(t.fd));
    CHECK_OK(unlink(path));
}
END_TEST

/* ---- Without the cache ---------------------------------------------------------------------- */

static int odd_reads(void *arg)
{
    struct truth *t = arg;
    char *buf = NULL;
    struct statx x;
    CHECK_OK(posix_memalign((void **)&buf, 4096, 8192));
    CHECK_OK(pirn_statx(t->fd, "", AT_EMPTY_PATH, STATX_ALL, &x, PIRN_NEVER));
    CHECK_EQ(pirn_pread(t->fd, buf, 4096, WORDS * 4LL - 4096, PIRN_NEVER), 4096);
    CHECK_EQ(pirn_pread(t->fd, buf, 4096, WORDS * 4LL, PIRN_NEVER), 0);
    CHECK_EQ(pirn_pread(t->fd, buf, 8192, WORDS * 4LL - 4096, PIRN_NEVER), 4096);
    ssize_t n = pirn_pread(t->fd, buf + 1, 100, 7, PIRN_NEVER);
    CHECK(n == -EINVAL || n == 100); /* some file systems go through the cache then */
    free(buf);
    return 0;
}

static int write_blocks(void *arg)
{
    struct truth *t = arg;
    char *buf = NULL;
    CHECK_OK(posix_memalign((void **)&buf, 4096, 8192));
    for (int i = 0; i < 16; i++) {
        memset(buf, 'A' + i, 8192);
        struct iovec v[] = {{buf, 4096}, {buf + 4096, 4096}};
        CHECK_EQ(pirn_pwritev(t->fd, v, 2, i * 8192LL, PIRN_NEVER), 8192);
        CHECK_EQ(pirn_pwrite(t->fd, buf, 4096, i * 8192LL, PIRN_NEVER), 4096);
    }
    for (int i = 0; i < 16; i++) {
        CHECK_EQ(pirn_pread(t->fd, buf, 8192, i * 8192LL, PIRN_NEVER), 8192);
        for (int k = 0; k < 8192; k++)
            CHECK_EQ(buf[k], 'A' + i);
    }
    free(buf);
    return 0;
}

START_TEST(o_direct)
{
    char path[FILES_PATH];
    files_path(path, "direct");
    CHECK_OK(close(make_truth(path)));
    struct truth t = {open(path, O_RDWR | O_DIRECT | O_CLOEXEC), true, support_rounds(20)};
    if (t.fd < 0) {
        printf("%s does not have O_DIRECT: not tested\n", files_dir);
    } else {
        FOR_WORKERS(w)
        {
            CHECK_OK(support_run(w, odd_reads, &t));
            CHECK_OK(support_run(w, read_in_a_crowd, &t));
        }
        FOR_WORKERS(w)
        CHECK_OK(support_run(w, write_blocks, &t));
        CHECK_OK(close(t.fd));
    }
    CHECK_OK(unlink(path));
}
END_TEST

/* ---- Long ones beside others ---------------------------------------------------------------- */

struct beside {
    char path[FILES_PATH];
    size_t bytes;
    atomic_int inside; /* a call that writes all of it */
    atomic_int ticks;  /* seen meanwhile */
    atomic_int over;
};

/* In calls of very different lengths, and then all of it in one, until it has let the ticker
 * run. */
static int write_much(void *arg)
{
    struct beside *b = arg;
    char *data = malloc(b->bytes);
    CHECK(data);
    for (size_t i = 0; i < b->bytes; i++)
        data[i] = (char)(i % 253);
    int fd = pirn_openat(AT_FDCWD, b->path, O_RDWR | O_CREAT | O_EXCL, 0600, PIRN_NEVER);
    CHECK_GE(fd, 0);
    size_t at = 0;
    for (size_t n = 1000; n < b->bytes / 10; n *= 10, at += n / 10)
        CHECK_EQ(pirn_write(fd, data + at, n, PIRN_NEVER), n);
    CHECK_EQ(pirn_write(fd, data + at, b->bytes - at, PIRN_NEVER), b->bytes - at);
    CHECK_OK(pirn_fsync(fd, PIRN_NEVER));
    do {
        atomic_store(&b->inside, 1);
        CHECK_EQ(pirn_pwrite(fd, data, b->bytes, 0, PIRN_NEVER), b->bytes);
        atomic_store(&b->inside, 0);
    } while (atomic_load(&b->ticks) < 3);
    atomic_store(&b->over, 1);
    memset(data, 0, b->bytes);
    CHECK_EQ(pirn_pread(fd, data, b->bytes, 0, PIRN_NEVER), b->bytes); /* and as much read */
    for (size_t i = 0; i < b->bytes; i++)
        if (data[i] != (char)(i % 253))
            CHECK_EQ(data[i], i % 253);
    free(data);
    CHECK_OK(pirn_close(fd));
    return 0;
}

static int tick_beside(void *arg)
{
    struct beside *b = arg;
    pirn_ticker ticker;
    CHECK_OK(pirn_ticker_init(&ticker, (pirn_span){MS}, PIRN_MISSED_SKIP));
    pirn_task *task = support_spawn(write_much, b);
    while (!atomic_load(&b->over)) {
        CHECK_GE(pirn_ticker_wait(&ticker), 0);
        atomic_fetch_add(&b->ticks, atomic_load(&b->inside));
    }
    CHECK_OK(support_join(task));
    return 0;
}

START_TEST(s176_a_ticker_beside_100_mb)
{
    FOR_WORKERS(w)
    {
        struct beside b = {.bytes = support_slow() ? 20000000 : 100000000};
        files_path(b.path, "much");
        CHECK_OK(support_run(w, tick_beside, &b));
        CHECK_OK(unlink(b.path));
    }
}
END_TEST

SUPPORT_MAIN("file_transfer", begin, vectors_and_their_errors, vectors_in_parts, thousands_of_reads,
             o_direct, s176_a_ticker_beside_100_mb, end)
