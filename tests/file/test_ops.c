/*
 * Every call about names and inodes, with its errors, on a plain thread and in coroutines: what is
 * there afterwards is looked up by the system's own calls.
 */
#include "tests/file/files.h"

#include <limits.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

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

/* ---- Names ---------------------------------------------------------------------------------- */

static void names(void)
{
    char a[FILES_PATH], b[FILES_PATH], dir[FILES_PATH], inside[FILES_PATH + 8], text[16];
    struct stat st;
    files_path(a, "a");
    files_path(b, "b");
    files_path(dir, "dir");

    CHECK_OK(pirn_mkdirat(AT_FDCWD, dir, 0750, PIRN_NEVER));
    CHECK_OK(stat(dir, &st));
    CHECK(S_ISDIR(st.st_mode));
    CHECK_EQ(st.st_mode & 07777, 0750);
    CHECK_EQ(pirn_mkdirat(AT_FDCWD, dir, 0750, PIRN_NEVER), -EEXIST);
    CHECK_EQ(pirn_mkdirat(AT_FDCWD, "/tmp/no/such/pirn", 0750, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_mkdirat(AT_FDCWD, NULL, 0750, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_mkdirat(1 << 20, "x", 0750, PIRN_NEVER), -EBADF);

    files_write(a, "a", 1);
    CHECK_EQ(pirn_renameat(AT_FDCWD, b, AT_FDCWD, a, 0, PIRN_NEVER), -ENOENT);
    CHECK_OK(pirn_renameat(AT_FDCWD, a, AT_FDCWD, b, 0, PIRN_NEVER));
    CHECK(files_hold(b, "a", 1));
    CHECK_EQ(access(a, F_OK), -1);
    files_write(a, "A", 1);
    CHECK_EQ(pirn_renameat(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE, PIRN_NEVER), -EEXIST);
    CHECK_OK(pirn_renameat(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE, PIRN_NEVER));
    CHECK(files_hold(a, "a", 1) && files_hold(b, "A", 1));
    CHECK_EQ(pirn_renameat(AT_FDCWD, a, AT_FDCWD, dir, 0, PIRN_NEVER), -EISDIR);
    CHECK_EQ(pirn_renameat(AT_FDCWD, dir, AT_FDCWD, a, 0, PIRN_NEVER), -ENOTDIR);
    CHECK_EQ(pirn_renameat(AT_FDCWD, a, AT_FDCWD, b, ~0u, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_renameat(AT_FDCWD, a, AT_FDCWD, NULL, 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_renameat(AT_FDCWD, a, AT_FDCWD, "/proc/pirn", 0, PIRN_NEVER), -EXDEV);

    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_GE(dir_fd, 0);
    CHECK_OK(pirn_renameat(AT_FDCWD, a, dir_fd, "in", 0, PIRN_NEVER)); /* two directories */
    snprintf(inside, sizeof(inside), "%s/in", dir);
    CHECK(files_hold(inside, "a", 1));
    CHECK_EQ(pirn_unlinkat(AT_FDCWD, dir, AT_REMOVEDIR, PIRN_NEVER), -ENOTEMPTY);
    CHECK_EQ(pirn_unlinkat(AT_FDCWD, dir, 0, PIRN_NEVER), -EISDIR);
    CHECK_EQ(pirn_unlinkat(dir_fd, "in", AT_REMOVEDIR, PIRN_NEVER), -ENOTDIR);
    CHECK_EQ(pirn_unlinkat(dir_fd, "in", ~0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_unlinkat(dir_fd, "out", 0, PIRN_NEVER), -ENOENT);

    CHECK_OK(pirn_linkat(dir_fd, "in", dir_fd, "too", 0, PIRN_NEVER));
    CHECK_OK(stat(inside, &st));
    CHECK_EQ(st.st_nlink, 2);
    CHECK_EQ(pirn_linkat(dir_fd, "in", dir_fd, "too", 0, PIRN_NEVER), -EEXIST);
    CHECK_EQ(pirn_linkat(dir_fd, "in", dir_fd, "x", ~0, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_symlinkat("in", dir_fd, "sym", PIRN_NEVER));
    CHECK_EQ(pirn_symlinkat("in", dir_fd, "sym", PIRN_NEVER), -EEXIST);
    CHECK_EQ(pirn_symlinkat(NULL, dir_fd, "sym", PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_readlinkat(dir_fd, "sym", text, sizeof(text), PIRN_NEVER), 2);
    CHECK(memcmp(text, "in", 2) == 0);
    CHECK_EQ(pirn_readlinkat(dir_fd, "sym", text, 1, PIRN_NEVER), 1);
    CHECK_EQ(pirn_readlinkat(dir_fd, "in", text, sizeof(text), PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_readlinkat(dir_fd, "out", text, sizeof(text), PIRN_NEVER), -ENOENT);
    CHECK_OK(pirn_unlinkat(dir_fd, "sym", 0, PIRN_NEVER));
    CHECK_OK(pirn_unlinkat(dir_fd, "too", 0, PIRN_NEVER));
    CHECK_OK(pirn_unlinkat(dir_fd, "in", 0, PIRN_NEVER));
    CHECK_OK(close(dir_fd));
    CHECK_OK(pirn_unlinkat(AT_FDCWD, dir, AT_REMOVEDIR, PIRN_NEVER));
    CHECK_OK(pirn_unlinkat(AT_FDCWD, b, 0, PIRN_NEVER));
    CHECK_EQ(files_count(files_dir), 0);
}

START_TEST(names_and_their_errors)
{
    support_census before = support_count();
    support_everywhere(names);
    support_no_more_than(before);
}
END_TEST

/* ---- What is known -------------------------------------------------------------------------- */

static void check_same(const struct stat *a, const struct stat *b)
{
    CHECK_EQ(a->st_dev, b->st_dev);
    CHECK_EQ(a->st_ino, b->st_ino);
    CHECK_EQ(a->st_mode, b->st_mode);
    CHECK_EQ(a->st_nlink, b->st_nlink);
    CHECK_EQ(a->st_uid, b->st_uid);
    CHECK_EQ(a->st_gid, b->st_gid);
    CHECK_EQ(a->st_rdev, b->st_rdev);
    CHECK_EQ(a->st_size, b->st_size);
    CHECK_EQ(a->st_blksize, b->st_blksize);
    CHECK_EQ(a->st_blocks, b->st_blocks);
    CHECK_EQ(a->st_atim.tv_sec, b->st_atim.tv_sec);
    CHECK_EQ(a->st_atim.tv_nsec, b->st_atim.tv_nsec);
    CHECK_EQ(a->st_mtim.tv_sec, b->st_mtim.tv_sec);
    CHECK_EQ(a->st_mtim.tv_nsec, b->st_mtim.tv_nsec);
    CHECK_EQ(a->st_ctim.tv_sec, b->st_ctim.tv_sec);
    CHECK_EQ(a->st_ctim.tv_nsec, b->st_ctim.tv_nsec);
}

static void known(void)
{
    char path[FILES_PATH], sym[FILES_PATH];
    struct stat truth, st;
    struct statx x;
    files_path(path, "known");
    files_path(sym, "sym");
    files_write(path, "12345", 5);
    CHECK_OK(symlink(path, sym));

    CHECK_OK(stat(path, &truth));
    CHECK_EQ(truth.st_size, 5);
    memset(&st, 0xff, sizeof(st));
    CHECK_OK(pirn_fstatat(AT_FDCWD, path, &st, 0, PIRN_NEVER));
    check_same(&st, &truth);
    CHECK_OK(pirn_fstatat(AT_FDCWD, sym, &st, 0, PIRN_NEVER));
    check_same(&st, &truth);
    CHECK_OK(lstat(sym, &truth));
    CHECK_OK(pirn_fstatat(AT_FDCWD, sym, &st, AT_SYMLINK_NOFOLLOW, PIRN_NEVER));
    check_same(&st, &truth);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_OK(stat("/dev/null", &truth)); /* a device */
    CHECK_OK(pirn_fstatat(AT_FDCWD, "/dev/null", &st, 0, PIRN_NEVER));
    check_same(&st, &truth);
    CHECK_OK(pirn_statx(AT_FDCWD, path, 0, STATX_SIZE | STATX_BTIME, &x, PIRN_NEVER));
    CHECK((x.stx_mask & STATX_SIZE) != 0);
    CHECK_EQ(x.stx_size, 5);
    struct stat untouched = st;
    CHECK_EQ(pirn_fstatat(AT_FDCWD, "/tmp/no/such/pirn", &st, 0, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_fstatat(AT_FDCWD, "/dev/null/x", &st, 0, PIRN_NEVER), -ENOTDIR);
    CHECK_EQ(pirn_fstatat(AT_FDCWD, NULL, &st, 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_fstatat(AT_FDCWD, path, NULL, 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_fstatat(AT_FDCWD, path, &st, ~0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_fstatat(1 << 20, "x", &st, 0, PIRN_NEVER), -EBADF);
    CHECK(memcmp(&st, &untouched, sizeof(st)) == 0); /* written on success only */

    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_OK(fstat(fd, &truth));
    CHECK_OK(pirn_fstat(fd, &st, PIRN_NEVER));
    check_same(&st, &truth);
    CHECK_OK(pirn_fstatat(fd, "", &st, AT_EMPTY_PATH, PIRN_NEVER));
    check_same(&st, &truth);
    CHECK_EQ(pirn_fstat(-1, &st, PIRN_NEVER), -EBADF);
    CHECK_EQ(pirn_fstat(1 << 20, &st, PIRN_NEVER), -EBADF);
    CHECK_EQ(pirn_fstat(fd, NULL, PIRN_NEVER), -EINVAL);
    CHECK_OK(close(fd));
    CHECK_OK(unlink(path));
    CHECK_OK(unlink(sym));
}

START_TEST(what_stat_says)
{
    support_everywhere(known);
}
END_TEST

/* ---- Space, safety -------------------------------------------------------------------------- */

static void space(void)
{
    char path[FILES_PATH];
    struct stat st;
    files_path(path, "space");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && reader >= 0);
    CHECK_OK(pirn_ftruncate(fd, 100000, PIRN_NEVER));
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 100000);
    CHECK_OK(pirn_ftruncate(fd, 3, PIRN_NEVER));
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 3);
    CHECK_EQ(pirn_ftruncate(fd, -1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_ftruncate(reader, 1, PIRN_NEVER), -EINVAL); /* not for writing */
    CHECK_EQ(pirn_ftruncate(-1, 1, PIRN_NEVER), -EBADF);
    CHECK_EQ(pirn_ftruncate(1 << 20, 1, PIRN_NEVER), -EBADF);

    off_t far = (off_t)5 << 32; /* lengths have 64 bits */
    CHECK_OK(pirn_ftruncate(fd, far, PIRN_NEVER));
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, far);
    CHECK_OK(pirn_ftruncate(fd, 0, PIRN_NEVER));
    CHECK_OK(pirn_fallocate(fd, 0, 4096, 8192, PIRN_NEVER));
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 12288);
    CHECK_GE(st.st_blocks, 16);
    CHECK_OK(pirn_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536, PIRN_NEVER));
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 12288);
    CHECK_EQ(pirn_fallocate(fd, 0, 0, 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_fallocate(fd, 0, -1, 1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_fallocate(reader, 0, 0, 1, PIRN_NEVER), -EBADF);

    CHECK_OK(pirn_fsync(fd, PIRN_NEVER));
    CHECK_OK(pirn_fdatasync(fd, PIRN_NEVER));
    CHECK_EQ(pirn_fdatasync(-1, PIRN_NEVER), -EBADF);
    int ends[2];
    support_pipe(ends);
    CHECK_EQ(pirn_fdatasync(ends[0], PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_ftruncate(ends[1], 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_fallocate(ends[1], 0, 0, 1, PIRN_NEVER), -ESPIPE);
    CHECK_OK(close(ends[0]) | close(ends[1]) | close(reader) | close(fd));
    CHECK_OK(unlink(path));
}

START_TEST(space_and_sync)
{
    support_everywhere(space);
}
END_TEST

/* ---- No more room, in the middle of a write -------------------------------------------------- */

/* What is told to be written is there, and the position behind it. */
static void cut_off(void)
{
    enum {
        LIMIT = 100000,
        MUCH = 3 << 20 /* and some that is handed to the kernel as lengthy */
    };
    struct rlimit before, limit;
    char path[FILES_PATH];
    unsigned char *data = malloc(MUCH);
    CHECK(data);
    for (int i = 0; i < MUCH; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    CHECK_OK(getrlimit(RLIMIT_FSIZE, &before));
    limit = (struct rlimit){LIMIT, before.rlim_max};
    for (int way = 0; way < 4; way++) {
        struct iovec two[] = {{data, 70000}, {data + 70000, 130000}};
        files_path(path, "cut");
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (way == 3 ? O_APPEND : 0), 0600);
        CHECK_GE(fd, 0);
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
        ssize_t n = way == 2 ? pirn_writev(fd, two, 2, PIRN_NEVER)
                             : pirn_write(fd, data, way == 0 ? 200000 : MUCH, PIRN_NEVER);
        CHECK_EQ(n, LIMIT);
        CHECK_EQ(pirn_write(fd, data, 1, PIRN_NEVER), -EFBIG);
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &before));
        if (way != 3)
            CHECK_EQ(lseek(fd, 0, SEEK_CUR), LIMIT);
        CHECK(files_hold(path, data, LIMIT));
        CHECK_OK(pirn_close(fd));
        CHECK_OK(unlink(path));
    }
    free(data);
}

START_TEST(a_write_that_is_cut_off)
{
    void (*was)(int) = signal(SIGXFSZ, SIG_IGN);
    support_everywhere(cut_off);
    signal(SIGXFSZ, was);
}
END_TEST

/* ---- A file system that is full ------------------------------------------------------------- */

static char full[FILES_PATH];

static void fill(void)
{
    enum {
        ROOM = 256 * 1024
    };
    char path[FILES_PATH + 8];
    snprintf(path, sizeof(path), "%s/f", full);
    char *data = calloc(2, ROOM);
    CHECK(data);
    int fd = pirn_openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_EQ(pirn_fallocate(fd, 0, 0, 2 * ROOM, PIRN_NEVER), -ENOSPC);
    ssize_t n = pirn_pwrite(fd, data, (size_t)2 * ROOM, 0, PIRN_NEVER);
    CHECK(n > 0 && n <= ROOM); /* so much was written */
    CHECK_EQ(pirn_pwrite(fd, data, ROOM, ROOM, PIRN_NEVER), -ENOSPC);
    struct iovec two[] = {{data, ROOM / 2}, {data, ROOM / 2}};
    CHECK_EQ(pirn_pwritev(fd, two, 2, ROOM, PIRN_NEVER), -ENOSPC);
    CHECK_OK(pirn_close(fd));
    CHECK_OK(unlink(path));

    int rc;
    /* A ring's request may hold the file, and its room, for a moment after it has said its end. */
    while ((rc = pirn_file_save(path, "old", 3, 0600, 0, PIRN_NEVER)) == -ENOSPC)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(rc);
    CHECK_EQ(pirn_file_save(path, data, (size_t)2 * ROOM, 0600, 0, PIRN_NEVER), -ENOSPC);
    CHECK(files_hold(path, "old", 3)); /* and nothing else is left */
    CHECK_EQ(files_count(full), 1);
    char big[FILES_PATH];
    files_path(big, "big");
    files_write(big, data, (size_t)2 * ROOM);
    CHECK_EQ(pirn_file_copy(big, path, 0, PIRN_NEVER),
             -ENOSPC); /* from one file system to another */
    CHECK(files_hold(path, "old", 3));
    CHECK_EQ(files_count(full), 1);
    CHECK_EQ(pirn_renameat(AT_FDCWD, path, AT_FDCWD, big, 0, PIRN_NEVER), -EXDEV);
    CHECK_OK(unlink(path));
    CHECK_OK(unlink(big));
    free(data);
}

START_TEST(a_full_file_system)
{
    files_path(full, "full");
    CHECK_OK(mkdir(full, 0700));
    if (mount("pirn", full, "tmpfs", 0, "size=256k") == 0) {
        support_everywhere(fill);
        CHECK_OK(umount(full));
    } else {
        printf("no mount here: a full file system is not tested\n");
    }
    CHECK_OK(rmdir(full));
}
END_TEST

SUPPORT_MAIN("file_ops", begin, names_and_their_errors, what_stat_says, space_and_sync,
             a_write_that_is_cut_off, a_full_file_system, end)
