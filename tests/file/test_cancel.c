/*
 * Cancels and deadlines at any moment: a call that says it was stopped has done nothing, and one
 * that has done it says so. Looked up by the system's own calls. Nothing stays open, and no
 * temporary file.
 */
#include "tests/file/files.h"

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

enum {
    BYTES = 300000
};

/* ---- The calls; each brings the world back to what it was ------------------------------------ */

struct trial {
    char path[FILES_PATH], other[FILES_PATH];
    char *data;
    pirn_time deadline;
    support_barrier barrier;
    int rc;
    int done, timed_out, cancelled;
};

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool happened(int rc)
{
    CHECK(rc >= 0 || rc == -ECANCELED || rc == -ETIMEDOUT);
    return rc >= 0;
}

static int try_open(struct trial *t)
{
    int fd = pirn_openat(AT_FDCWD, t->path, O_RDWR | O_CREAT | O_EXCL, 0600, t->deadline);
    CHECK_EQ(is_there(t->path), happened(fd));
    if (fd >= 0)
        CHECK_OK(close(fd) | unlink(t->path));
    return fd;
}

static int try_mkdir(struct trial *t)
{
    int rc = pirn_mkdirat(AT_FDCWD, t->path, 0700, t->deadline);
    CHECK_EQ(is_there(t->path), happened(rc));
    if (rc == 0)
        CHECK_OK(rmdir(t->path));
    return rc;
}

static int try_rename(struct trial *t)
{
    files_write(t->path, "x", 1);
    int rc = pirn_renameat(AT_FDCWD, t->path, AT_FDCWD, t->other, 0, t->deadline);
    CHECK_EQ(is_there(t->other), happened(rc));
    CHECK_EQ(is_there(t->path), !happened(rc));
    CHECK_OK(unlink(rc == 0 ? t->other : t->path));
    return rc;
}

static int try_unlink(struct trial *t)
{
    files_write(t->path, "x", 1);
    int rc = pirn_unlinkat(AT_FDCWD, t->path, 0, t->deadline);
    CHECK_EQ(is_there(t->path), !happened(rc));
    if (rc != 0)
        CHECK_OK(unlink(t->path));
    return rc;
}

static int try_truncate(struct trial *t)
{
    struct stat st;
    files_write(t->path, "x", 1);
    int fd = open(t->path, O_RDWR | O_CLOEXEC);
    int rc = pirn_ftruncate(fd, 1000, t->deadline);
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, happened(rc) ? 1000 : 1);
    CHECK_OK(close(fd) | unlink(t->path));
    return rc;
}

static int try_save(struct trial *t)
{
    files_write(t->path, "old", 3);
    int rc = pirn_file_save(t->path, t->data, BYTES, 0600, PIRN_FILE_SYNC, t->deadline);
    CHECK(happened(rc) ? files_hold(t->path, t->data, BYTES) : files_hold(t->path, "old", 3));
    CHECK_OK(unlink(t->path));
    CHECK_EQ(files_count(files_dir), 0);
    return rc;
}

static int try_copy(struct trial *t)
{
    files_write(t->path, t->data, BYTES);
    files_write(t->other, "old", 3);
    int rc = pirn_file_copy(t->path, t->other, 0, t->deadline);
    CHECK(happened(rc) ? files_hold(t->other, t->data, BYTES) : files_hold(t->other, "old", 3));
    CHECK_OK(unlink(t->path) | unlink(t->other));
    CHECK_EQ(files_count(files_dir), 0);
    return rc;
}

static int try_load(struct trial *t)
{
    void *data = NULL;
    size_t n = 1;
    files_write(t->path, t->data, BYTES);
    int rc = pirn_file_load(t->path, &data, &n, SIZE_MAX, t->deadline);
    if (happened(rc))
        CHECK(n == BYTES && memcmp(data, t->data, n) == 0);
    else
        CHECK(data == NULL && n == 1);
    free(data);
    CHECK_OK(unlink(t->path));
    return rc;
}

static int try_list(struct trial *t)
{
    pirn_dir *dir = NULL;
    pirn_dir_entry e;
    files_write(t->path, "", 0);
    int rc = pirn_dir_open(&dir, AT_FDCWD, files_dir, t->deadline);
    CHECK_EQ(dir != NULL, happened(rc));
    if (rc == 0)
        rc = pirn_dir_next(dir, &e, t->deadline);
    if (happened(rc) && dir != NULL)
        CHECK(strcmp(e.name, strrchr(t->path, '/') + 1) == 0);
    pirn_dir_close(dir);
    CHECK_OK(unlink(t->path));
    return rc;
}

/* ---- The races ------------------------------------------------------------------------------ */

static int (*const tries[])(struct trial *t) = {
    try_open, try_mkdir, try_rename, try_unlink, try_truncate,
    try_save, try_copy,  try_load,   try_list,
};

enum {
    TRIES = sizeof(tries) / sizeof(tries[0])
};

struct round {
    struct trial *trial;
    int (*fn)(struct trial *t);
};

/* Microseconds: tens as often as thousands. */
static int64_t soon(void)
{
    return support_between(0, 1 << support_between(4, 12));
}

static int one(void *arg)
{
    struct round *r = arg;
    support_meet(&r->trial->barrier);
    r->trial->rc = r->fn(r->trial);
    return pirn_sleep(PIRN_NOW); /* a cancel that has not been told is still there */
}

static void *cancel_soon(void *arg)
{
    pirn_task *task = arg;
    support_spin(soon() * US);
    int rc = pirn_cancel(task, NULL);
    CHECK(rc == 0 || rc == -EALREADY);
    return NULL;
}

static int race(void *arg)
{
    int (*fn)(struct trial * t) = *(int (**)(struct trial * t)) arg;
    struct trial t = {.data = malloc(BYTES)};
    CHECK(t.data);
    for (int i = 0; i < BYTES; i++)
        t.data[i] = (char)(i % 251);
    files_path(t.path, "race");
    files_path(t.other, "other");
    int rounds = support_rounds(150);
    for (int i = 0; i <= rounds; i++) {
        struct round r = {&t, fn};
        bool cancels = i % 3 != 0 && i != rounds;
        t.barrier = (support_barrier){1, 0, 0};
        t.rc = -EINPROGRESS;
        /* a deadline in the past, soon, or never; at the end neither that nor a cancel */
        t.deadline = i % 3 == 1 || i == rounds ? PIRN_NEVER
                     : i % 9 == 0              ? PIRN_NOW
                                               : pirn_after_us(soon());
        pirn_task *task = support_spawn(one, &r);
        pthread_t thread;
        if (cancels)
            thread = support_thread(cancel_soon, pirn_retain(task));
        int status;
        CHECK_OK(pirn_await(task, &status, PIRN_NEVER));
        if (cancels) {
            support_thread_join(thread);
            pirn_release(task);
        }
        pirn_release(task);
        /* Either the call or the sleep behind it was told of a cancel, once; if it came in time. */
        CHECK(status == 0 || (cancels && status == -ECANCELED));
        if (t.rc == -EINPROGRESS) { /* cancelled before it began */
            CHECK(cancels && status == -ECANCELED);
            continue;
        }
        CHECK(!(t.rc == -ECANCELED && status == -ECANCELED));
        t.done += t.rc >= 0;
        t.timed_out += t.rc == -ETIMEDOUT;
        t.cancelled += t.rc == -ECANCELED;
    }
    CHECK(t.done > 0);
    free(t.data);
    return t.timed_out * 1000 + t.cancelled;
}

START_TEST(all_or_nothing)
{
    support_census before = support_count();
    int stopped = 0;
    FOR_WORKERS(w)
    for (int i = 0; i < TRIES; i++) {
        stopped += support_run(w, race, (void *)(uintptr_t)&tries[i]);
        CHECK_EQ(files_count(files_dir), 0);
    }
    support_no_more_than(before);
    CHECK(stopped / 1000 > 0 && stopped % 1000 > 0); /* both were seen */
}
END_TEST

/* Before it begins: nothing is done, and no descriptor is used up. */
static int cancelled_before(void *arg)
{
    struct trial t = {.data = calloc(1, BYTES), .deadline = PIRN_NEVER};
    (void)arg;
    files_path(t.path, "before");
    files_path(t.other, "other");
    CHECK(t.data);
    for (int i = 0; i < TRIES; i++) {
        CHECK_OK(pirn_cancel(pirn_current(), NULL));
        CHECK_EQ(tries[i](&t), -ECANCELED);
        CHECK(tries[i](&t) >= 0); /* it was told */
    }
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_unlinkat(AT_FDCWD, NULL, 0, PIRN_NEVER), -ECANCELED); /* before -EINVAL */
    free(t.data);
    return 0;
}

START_TEST(nothing_begins_when_cancelled)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancelled_before, NULL));
    support_no_more_than(before);
}
END_TEST

SUPPORT_MAIN("file_cancel", begin, all_or_nothing, nothing_begins_when_cancelled, end)
