/* wraps pirn_sys_renameat2 */
/* wraps pirn_ring_prepare */
/*
 * Files and file systems with less than most: no rename that replaces nothing, as on NFS.
 */
#include "tests/file/files.h"

#include <errno.h>
#include <stdlib.h>
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

START_TEST(end)
{
    files_end();
}
END_TEST

SUPPORT_MAIN("file_lacking", begin, exclusive_where_no_rename_is, one_of_many_is_first, end)
