/* wraps pirn_sys_preadv2 */
/* wraps pirn_sys_pwritev2 */
/* wraps pirn_sys_renameat2 */
/* wraps pirn_ring_prepare */
/*
 * Files and file systems with less or more than most: no rename that replaces nothing, as on NFS;
 * O_DIRECT whose memory need not be aligned.
 */
#include "tests/file/files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/op.h"

struct ring;

START_TEST(begin)
{
    files_begin();
}
END_TEST

/* ---- Renames --------------------------------------------------------------------------------- */

static atomic_int refused = -1; /* renames with flags; -1: none is */

int __wrap_pirn_sys_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                              unsigned flags);
int __real_pirn_sys_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                              unsigned flags);
bool __wrap_pirn_ring_prepare(struct ring *r, struct op *op);
bool __real_pirn_ring_prepare(struct ring *r, struct op *op);

int __wrap_pirn_sys_renameat2(int from_dir, const char *from, int to_dir, const char *to,
                              unsigned flags)
{
    if (flags != 0 && atomic_load(&refused) >= 0) {
        atomic_fetch_add(&refused, 1);
        return -EINVAL;
    }
    return __real_pirn_sys_renameat2(from_dir, from, to_dir, to, flags);
}

bool __wrap_pirn_ring_prepare(struct ring *r, struct op *op)
{
    if (op->kind == OP_RENAMEAT && op->flags != 0 && atomic_load(&refused) >= 0)
        op->flags = ~0u; /* -EINVAL */
    return __real_pirn_ring_prepare(r, op);
}

static void save_and_copy(void)
{
    char path[FILES_PATH], copy[FILES_PATH];
    struct stat st;
    files_path(path, "exclusive");
    files_path(copy, "exclusive");
    for (unsigned sync = 0; sync <= PIRN_FILE_SYNC; sync += PIRN_FILE_SYNC) {
        unsigned flags = PIRN_FILE_EXCLUSIVE | sync;
        int before = atomic_load(&refused);
        CHECK_OK(pirn_file_save(path, "first", 5, 0640, flags, PIRN_NEVER));
        CHECK_OK(pirn_file_copy(path, copy, flags, PIRN_NEVER));
        CHECK_EQ(atomic_load(&refused), before + 2);
        CHECK_EQ(pirn_file_save(path, "second", 6, 0640, flags, PIRN_NEVER), -EEXIST);
        CHECK_EQ(pirn_file_copy(path, copy, flags, PIRN_NEVER), -EEXIST);
        CHECK(files_hold(path, "first", 5) && files_hold(copy, "first", 5));
        CHECK_OK(stat(path, &st));
        CHECK_EQ(st.st_nlink, 1);
        CHECK_EQ(files_count(files_dir), 2);
        CHECK_OK(unlink(path) | unlink(copy));
    }
}

START_TEST(exclusive_where_no_rename_is)
{
    support_census before = support_count();
    atomic_store(&refused, 0);
    support_everywhere(save_and_copy);
    atomic_store(&refused, -1);
    support_no_more_than(before);
}
END_TEST

struct contest {
    char path[FILES_PATH];
    atomic_int won;
};

static int save_one(void *arg)
{
    struct contest *c = arg;
    int rc = pirn_file_save(c->path, "only", 4, 0600, PIRN_FILE_EXCLUSIVE, PIRN_NEVER);
    CHECK(rc == 0 || rc == -EEXIST);
    atomic_fetch_add(&c->won, rc == 0);
    return 0;
}

/* Of many one is first, and nothing of the others stays. */
static int many_save(void *arg)
{
    enum {
        N = 10
    };
    pirn_task *tasks[N];
    struct contest c = {.won = 0};
    (void)arg;
    files_path(c.path, "contest");
    for (int i = 0; i < N; i++)
        tasks[i] = support_spawn(save_one, &c);
    for (int i = 0; i < N; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_EQ(atomic_load(&c.won), 1);
    CHECK(files_hold(c.path, "only", 4));
    CHECK_EQ(files_count(files_dir), 1);
    CHECK_OK(unlink(c.path));
    return 0;
}

START_TEST(one_of_many_is_first)
{
    atomic_store(&refused, 0);
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(20); i++)
        CHECK_OK(support_run(w, many_save, NULL));
    atomic_store(&refused, -1);
}
END_TEST

/* ---- O_DIRECT -------------------------------------------------------------------------------- */

static atomic_int watched = -1; /* a descriptor */
static atomic_int in_place;     /* transfers on it by the worker itself, which waits there */

ssize_t __wrap_pirn_sys_preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __real_pirn_sys_preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __wrap_pirn_sys_pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __real_pirn_sys_pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags);

ssize_t __wrap_pirn_sys_preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    atomic_fetch_add(&in_place, fd == atomic_load(&watched));
    return __real_pirn_sys_preadv2(fd, iov, n, offset, flags);
}

ssize_t __wrap_pirn_sys_pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    atomic_fetch_add(&in_place, fd == atomic_load(&watched));
    return __real_pirn_sys_pwritev2(fd, iov, n, offset, flags);
}

/* Some devices take memory that begins anywhere, or at each fourth byte, and pieces like that. */
static int anywhere(void *arg)
{
    enum {
        PAGE = 4096
    };
    int fd = *(int *)arg;
    char *buf = aligned_alloc(PAGE, 3 * PAGE);
    CHECK(buf);
    memset(buf, 'x', 3 * PAGE);
    for (size_t from = 0; from <= 512; from = from != 0 ? 2 * from : 1) {
        struct iovec two[] = {{buf + from, 100}, {buf + from + 100, PAGE - 100}};
        ssize_t n = pirn_pwrite(fd, buf + from, PAGE, 0, PIRN_NEVER);
        CHECK(n == PAGE || (n == -EINVAL && from != 0)); /* as the file system has it */
        n = pirn_pread(fd, buf + from, PAGE, 0, PIRN_NEVER);
        CHECK(n == PAGE || (n == -EINVAL && from != 0));
        n = pirn_pwritev(fd, two, 2, 0, PIRN_NEVER);
        CHECK(n == PAGE || n == -EINVAL);
        n = pirn_preadv(fd, two, 2, 0, PIRN_NEVER);
        CHECK(n == PAGE || n == -EINVAL);
    }
    free(buf);
    return 0;
}

START_TEST(o_direct_from_anywhere)
{
    char path[FILES_PATH];
    files_path(path, "direct");
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0) {
        printf("%s does not have O_DIRECT: not tested\n", files_dir);
    } else {
        atomic_store(&watched, fd);
        FOR_WORKERS(w) CHECK_OK(support_run(w, anywhere, &fd));
        atomic_store(&watched, -1);
        CHECK_EQ(atomic_load(&in_place), 0);
        CHECK_OK(close(fd));
    }
    unlink(path);
}
END_TEST

START_TEST(end)
{
    files_end();
}
END_TEST

SUPPORT_MAIN("file_lacking", begin, exclusive_where_no_rename_is, one_of_many_is_first,
             o_direct_from_anywhere, end)
