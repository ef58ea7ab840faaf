/* Files: open, read, write, at offsets, sync; many at once; what a cancel may not tear apart. */
#include "tests/support.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

static char dir[] = "/tmp/pirn-files-XXXXXX";

static void path_of(char *ret_path, size_t size, const char *name)
{
    static atomic_int number;
    snprintf(ret_path, size, "%s/%s-%d", dir, name, atomic_fetch_add(&number, 1));
}

/* ---- Everywhere -------------------------------------------------------------------------- */

static void basics(void)
{
    char path[64], buf[64];
    path_of(path, sizeof(path), "basic");
    CHECK_EQ(pirn_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0, PIRN_NEVER), -ENOENT);
    umask(022);
    int fd = pirn_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640, PIRN_NEVER);
    CHECK_GE(fd, 0);
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_mode & 07777, 0640);
    CHECK_EQ(pirn_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0640, PIRN_NEVER), -EEXIST);

    CHECK_EQ(pirn_read(fd, buf, sizeof(buf), PIRN_NEVER), 0);
    CHECK_EQ(pirn_write(fd, "hello ", 6, PIRN_NEVER), 6);
    CHECK_EQ(pirn_write(fd, "world", 5, PIRN_NEVER), 5);
    CHECK_EQ(pirn_read(fd, buf, sizeof(buf), PIRN_NEVER), 0); /* the position is shared */
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(pirn_read(fd, buf, 6, PIRN_NEVER), 6);
    CHECK_EQ(pirn_read(fd, buf + 6, sizeof(buf) - 6, PIRN_NEVER), 5);
    CHECK(memcmp(buf, "hello world", 11) == 0);

    CHECK_EQ(pirn_pwrite(fd, "HELLO", 5, 0, PIRN_NEVER), 5);
    CHECK_EQ(pirn_pread(fd, buf, sizeof(buf), 3, PIRN_NEVER), 8);
    CHECK(memcmp(buf, "LO world", 8) == 0);
    CHECK_EQ(pirn_pread(fd, buf, sizeof(buf), 11, PIRN_NEVER), 0);
    CHECK_EQ(pirn_pread(fd, buf, sizeof(buf), 1 << 20, PIRN_NEVER), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 11); /* and left where it was */
    off_t far = ((off_t)5 << 30) + 7;     /* offsets have 64 bits */
    CHECK_EQ(pirn_pwrite(fd, "far", 3, far, PIRN_NEVER), 3);
    CHECK_EQ(pirn_pread(fd, buf, sizeof(buf), far - 2, PIRN_NEVER), 5);
    CHECK(memcmp(buf, "\0\0far", 5) == 0);
    CHECK_EQ(pirn_pread(fd, buf, 1, -1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_pwrite(fd, buf, 1, -1, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_fsync(fd, PIRN_NEVER));
    CHECK_EQ(pirn_poll(fd, POLLIN | POLLOUT, PIRN_NEVER), POLLIN | POLLOUT);
    /* A deadline in the past: done at once, or not at all if the file system would make us wait. */
    CHECK_EQ(pirn_pread(fd, buf, 5, 0, PIRN_NEVER), 5); /* in the cache */
    ssize_t n = pirn_pwrite(fd, "hello", 5, 0, PIRN_NOW);
    CHECK(n == 5 || n == -ETIMEDOUT);
    CHECK_EQ(pirn_pread(fd, buf, 5, 0, PIRN_NOW), 5);
    CHECK(memcmp(buf, n == 5 ? "hello" : "HELLO", 5) == 0);
    CHECK_OK(pirn_close(fd));

    fd = pirn_openat(AT_FDCWD, path, O_WRONLY | O_APPEND | O_TRUNC | O_CLOEXEC, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_EQ(pirn_read(fd, buf, 1, PIRN_NEVER), -EBADF); /* opened for writing only */
    CHECK_EQ(pirn_write(fd, "ab", 2, PIRN_NEVER), 2);
    CHECK_OK(lseek(fd, 0, SEEK_SET));
    CHECK_EQ(pirn_write(fd, "cd", 2, PIRN_NEVER), 2); /* at the end all the same */
    CHECK_OK(pirn_close(fd));

    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = pirn_openat(dir_fd, strrchr(path, '/') + 1, O_RDONLY | O_CLOEXEC, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_EQ(pirn_read(fd, buf, sizeof(buf), PIRN_NEVER), 4);
    CHECK(memcmp(buf, "abcd", 4) == 0);
    CHECK_EQ(pirn_write(fd, "x", 1, PIRN_NEVER), -EBADF);
    CHECK_OK(pirn_close(fd));
    CHECK_EQ(pirn_read(dir_fd, buf, 1, PIRN_NEVER), -EISDIR);
    CHECK_OK(pirn_close(dir_fd));
    int ends[2];
    support_pipe(ends);
    CHECK_EQ(pirn_pread(ends[0], buf, 1, 0, PIRN_NEVER), -ESPIPE);
    CHECK_EQ(pirn_fsync(ends[0], PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_close(ends[0]));
    CHECK_OK(pirn_close(ends[1]));
    CHECK_OK(unlink(path));
}

START_TEST(basic)
{
    support_everywhere(basics);
}
END_TEST

/* ---- A cold, large file ------------------------------------------------------------------ */

static void large(void)
{
    size_t n = support_slow() ? 1 << 20 : 16 << 20;
    char path[64];
    path_of(path, sizeof(path), "large");
    int fd = pirn_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600, PIRN_NEVER);
    CHECK_GE(fd, 0);
    uint32_t *out = malloc(n), *in = malloc(n);
    CHECK(out && in);
    for (size_t i = 0; i < n / 4; i++)
        out[i] = (uint32_t)i * 2654435761u;
    for (size_t at = 0; at < n;) {
        ssize_t rc = pirn_write(fd, (char *)out + at, n - at, PIRN_NEVER);
        CHECK(rc > 0);
        at += (size_t)rc;
    }
    CHECK_OK(pirn_fsync(fd, PIRN_NEVER));
    for (int cold = 0; cold < 2; cold++) {
        if (cold)
            CHECK_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
        memset(in, 0, n);
        for (size_t at = 0; at < n;) {
            ssize_t rc = pirn_pread(fd, (char *)in + at, n - at, (off_t)at, PIRN_NEVER);
            CHECK(rc > 0);
            at += (size_t)rc;
        }
        CHECK(memcmp(in, out, n) == 0);
    }
    free(in);
    free(out);
    CHECK_OK(pirn_close(fd));
    CHECK_OK(unlink(path));
}

START_TEST(large_file)
{
    support_everywhere(large);
}
END_TEST

/* ---- Many at once, some cancelled -------------------------------------------------------- */

struct block {
    int fd, id;
    int rc;
};

enum {
    BLOCK = 4096,
    BLOCKS = 200
};

static int write_and_check(void *arg)
{
    struct block *b = arg;
    unsigned char buf[BLOCK];
    for (int round = 0; round < 5; round++) {
        memset(buf, b->id + round, sizeof(buf));
        ssize_t n = pirn_pwrite(b->fd, buf, sizeof(buf), (off_t)b->id * BLOCK, PIRN_NEVER);
        if (n < 0)
            return (int)n;
        CHECK_EQ(n, BLOCK);
        memset(buf, 0, sizeof(buf));
        n = pirn_pread(b->fd, buf, sizeof(buf), (off_t)b->id * BLOCK, PIRN_NEVER);
        if (n < 0)
            return (int)n;
        CHECK_EQ(n, BLOCK);
        for (int i = 0; i < BLOCK; i++)
            CHECK_EQ(buf[i], (unsigned char)(b->id + round));
        int rc = round == 3 && b->id % 20 == 0 ? pirn_fsync(b->fd, PIRN_NEVER) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int crowd(void *arg)
{
    (void)arg;
    int fd = pirn_openat(AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600, PIRN_NEVER);
    CHECK_GE(fd, 0);
    static struct block blocks[BLOCKS];
    static pirn_task *tasks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = (struct block){fd, i, 0};
        tasks[i] = support_spawn(write_and_check, &blocks[i]);
    }
    for (int i = 0; i < BLOCKS; i += 10) {
        int rc = pirn_cancel(tasks[i], NULL);
        CHECK(rc == 0 || rc == -EALREADY);
    }
    for (int i = 0; i < BLOCKS; i++) {
        int status = support_join(tasks[i]);
        CHECK(status == 0 || (status == -ECANCELED && i % 10 == 0));
    }
    CHECK_OK(pirn_close(fd));
    return 0;
}

START_TEST(many_blocks)
{
    for (int i = 0; i < support_rounds(10); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, crowd, NULL));
}
END_TEST

/* ---- Opening what keeps one waiting ------------------------------------------------------ */

struct opening {
    char path[64];
    int rc;
};

static int open_fifo(void *arg)
{
    struct opening *o = arg;
    o->rc = pirn_openat(AT_FDCWD, o->path, O_RDONLY | O_CLOEXEC, 0, PIRN_NEVER);
    return 0;
}

/* A FIFO opens when the other end does; until then the open can time out and be cancelled. */
static int fifo(void *arg)
{
    (void)arg;
    struct opening o = {.rc = 0};
    char c = 0;
    path_of(o.path, sizeof(o.path), "fifo");
    CHECK_OK(mkfifo(o.path, 0600));
    CHECK_EQ(pirn_openat(AT_FDCWD, o.path, O_RDONLY | O_CLOEXEC, 0, pirn_after_ms(5)), -ETIMEDOUT);
    pirn_task *task = support_spawn(open_fifo, &o);
    support_until_waiting(task);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(support_join(task));
    CHECK_EQ(o.rc, -ECANCELED);
    CHECK_EQ(open(o.path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1); /* nobody is there */
    task = support_spawn(open_fifo, &o);
    int writer = pirn_openat(AT_FDCWD, o.path, O_WRONLY | O_CLOEXEC, 0, pirn_after_s(100));
    CHECK_GE(writer, 0);
    CHECK_OK(support_join(task));
    CHECK_GE(o.rc, 0);
    CHECK_EQ(pirn_write(writer, "f", 1, PIRN_NEVER), 1);
    CHECK_EQ(pirn_read(o.rc, &c, 1, PIRN_NEVER), 1);
    CHECK_OK(pirn_close(writer));
    CHECK_OK(pirn_close(o.rc));
    CHECK_OK(unlink(o.path));
    return 0;
}

START_TEST(fifo_open)
{
    support_census before = support_count();
    for (int i = 0; i < support_rounds(10); i++)
        FOR_WORKERS(w)
    CHECK_OK(support_run(w, fifo, NULL));
    support_no_more_than(before);
}
END_TEST

START_TEST(make_directory)
{
    CHECK(mkdtemp(dir));
}
END_TEST

START_TEST(remove_directory)
{
    CHECK_OK(rmdir(dir));
}
END_TEST

SUPPORT_MAIN("io_file", make_directory, basic, large_file, many_blocks, fifo_open, remove_directory)
