/* Whole files, and directories: load, save, copy, list. */
#include "tests/file/files.h"

#include <limits.h>

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

static char *pattern(size_t n)
{
    char *data = malloc(n + 1);
    CHECK(data);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)('a' + (i * 7 + i / 251) % 26);
    return data;
}

/* ---- Load ----------------------------------------------------------------------------------- */

static void load_one(size_t n)
{
    char path[FILES_PATH];
    char *data = pattern(n);
    void *got = NULL;
    size_t count = 99;
    files_path(path, "load");
    files_write(path, data, n);
    CHECK_OK(pirn_file_load(path, &got, &count, SIZE_MAX, PIRN_NEVER));
    CHECK_EQ(count, n);
    CHECK(memcmp(got, data, n) == 0);
    CHECK_EQ(((char *)got)[n], 0);
    free(got);
    CHECK_OK(pirn_file_load(path, &got, &count, n, PIRN_NEVER)); /* just enough */
    CHECK_EQ(count, n);
    free(got);
    got = NULL;
    if (n > 0)
        CHECK_EQ(pirn_file_load(path, &got, &count, n - 1, PIRN_NEVER), -EFBIG);
    CHECK(got == NULL && count == n);
    free(data);
    CHECK_OK(unlink(path));
}

static void load(void)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 300000, (3 << 20) + 5};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        load_one(sizes[i]);
    void *data;
    size_t n;
    CHECK_EQ(pirn_file_load("/tmp/no/such/pirn", &data, &n, SIZE_MAX, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_file_load(files_dir, &data, &n, SIZE_MAX, PIRN_NEVER), -EISDIR);
    CHECK_EQ(pirn_file_load(NULL, &data, &n, SIZE_MAX, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_file_load("/proc/self/status", NULL, &n, SIZE_MAX, PIRN_NEVER), -EINVAL);
    /* These say that they are empty. */
    CHECK_OK(pirn_file_load("/proc/self/status", &data, &n, SIZE_MAX, PIRN_NEVER));
    CHECK(n > 100 && strlen(data) == n && strstr(data, "\nPid:\t") != NULL);
    free(data);
    CHECK_EQ(pirn_file_load("/proc/self/status", &data, &n, 50, PIRN_NEVER), -EFBIG);
    CHECK_EQ(pirn_file_load("/dev/zero", &data, &n, 100000, PIRN_NEVER), -EFBIG);
}

START_TEST(load_all_sizes)
{
    support_census before = support_count();
    support_everywhere(load);
    support_no_more_than(before);
}
END_TEST

static int load_pipe(void *arg)
{
    void *data;
    size_t n;
    CHECK_OK(pirn_file_load(arg, &data, &n, SIZE_MAX, PIRN_NEVER));
    CHECK_EQ(n, 30000);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(((char *)data)[i], 'a' + (i * 7 + i / 251) % 26);
    free(data);
    return 0;
}

static int through_a_fifo(void *arg)
{
    char path[FILES_PATH];
    char *data = pattern(30000);
    (void)arg;
    files_path(path, "fifo");
    CHECK_OK(mkfifo(path, 0600));
    pirn_task *task = support_spawn(load_pipe, path);
    int fd = pirn_openat(AT_FDCWD, path, O_WRONLY, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    for (size_t at = 0; at < 30000; at += 1000) {
        CHECK_EQ(pirn_write(fd, data + at, 1000, PIRN_NEVER), 1000);
        CHECK_OK(pirn_yield());
    }
    CHECK_OK(pirn_close(fd));
    CHECK_OK(support_join(task));
    free(data);
    CHECK_OK(unlink(path));
    return 0;
}

START_TEST(load_what_comes_slowly)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, through_a_fifo, NULL));
}
END_TEST

/* ---- Save ----------------------------------------------------------------------------------- */

static void save(void)
{
    char path[FILES_PATH], sym[FILES_PATH], other[FILES_PATH];
    struct stat st;
    char *data = pattern(3 << 20);
    files_path(path, "save");
    files_path(sym, "sym");
    files_path(other, "other");
    CHECK_OK(pirn_file_save(path, "one", 3, 0640, 0, PIRN_NEVER));
    CHECK(files_hold(path, "one", 3));
    CHECK_OK(stat(path, &st));
    CHECK_EQ(st.st_mode & 07777, 0640);
    CHECK_OK(link(path, other));
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_OK(pirn_file_save(path, data, 3 << 20, 0666, PIRN_FILE_SYNC, PIRN_NEVER));
    CHECK(files_hold(path, data, 3 << 20));
    CHECK_OK(stat(path, &st));
    CHECK_EQ(st.st_mode & 07777, 0644);         /* the umask */
    CHECK(files_hold(other, "one", 3));         /* another link has the old one, */
    CHECK_EQ(support_read(reader, sym, 10), 3); /* and so has who had it open */
    CHECK_OK(close(reader));
    files_path(sym, "sym");
    CHECK_OK(symlink(path, sym));
    CHECK_OK(pirn_file_save(sym, "", 0, 0600, 0, PIRN_NEVER)); /* replaced itself */
    CHECK_OK(lstat(sym, &st));
    CHECK(S_ISREG(st.st_mode) && st.st_size == 0);
    CHECK(files_hold(path, data, 3 << 20));
    CHECK_EQ(pirn_file_save(path, "x", 1, 0600, PIRN_FILE_EXCLUSIVE, PIRN_NEVER), -EEXIST);
    CHECK(files_hold(path, data, 3 << 20));
    CHECK_OK(unlink(path));
    CHECK_OK(pirn_file_save(path, "x", 1, 0600, PIRN_FILE_EXCLUSIVE | PIRN_FILE_SYNC, PIRN_NEVER));
    CHECK(files_hold(path, "x", 1));

    CHECK_EQ(pirn_file_save(path, "x", 1, 0600, 64, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_file_save(path, NULL, 1, 0600, 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_file_save(NULL, "x", 1, 0600, 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_file_save("", "x", 1, 0600, 0, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_file_save("/tmp/no/such/pirn", "x", 1, 0600, 0, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_file_save("/dev/null/x", "x", 1, 0600, 0, PIRN_NEVER), -ENOTDIR);
    CHECK_EQ(pirn_file_save("/tmp/", "x", 1, 0600, 0, PIRN_NEVER), -EISDIR);
    CHECK_EQ(pirn_file_save("..", "x", 1, 0600, 0, PIRN_NEVER), -EISDIR);
    CHECK_EQ(pirn_file_save("/tmp/.", "x", 1, 0600, 0, PIRN_NEVER), -EISDIR);
    char dir[FILES_PATH];
    files_path(dir, "dir");
    CHECK_OK(mkdir(dir, 0700));
    CHECK_EQ(pirn_file_save(dir, "x", 1, 0600, 0, PIRN_NEVER), -EISDIR);
    CHECK_OK(rmdir(dir));
    free(data);
    CHECK_OK(unlink(path) | unlink(sym) | unlink(other));
    CHECK_EQ(files_count(files_dir), 0); /* nothing of its own is left */
}

START_TEST(save_replaces_it_whole)
{
    support_census before = support_count();
    support_everywhere(save);
    support_no_more_than(before);
}
END_TEST

struct writers {
    char path[FILES_PATH];
    atomic_int over;
};

enum {
    VERSION = 50000
};

/* A file of one letter. */
static int save_versions(void *arg)
{
    struct writers *ws = arg;
    char *data = malloc(VERSION);
    CHECK(data);
    for (int i = 0; i < support_rounds(30); i++) {
        memset(data, 'a' + i % 26, VERSION);
        CHECK_OK(pirn_file_save(ws->path, data, VERSION, 0600, 0, PIRN_NEVER));
    }
    free(data);
    atomic_fetch_add(&ws->over, 1);
    return 0;
}

static int save_and_look(void *arg)
{
    struct writers ws = {.over = 0};
    pirn_task *tasks[4];
    (void)arg;
    files_path(ws.path, "versions");
    files_write(ws.path, "", 0);
    for (int i = 0; i < 4; i++)
        tasks[i] = support_spawn(save_versions, &ws);
    while (atomic_load(&ws.over) < 4) {
        void *data;
        size_t n;
        CHECK_OK(pirn_file_load(ws.path, &data, &n, SIZE_MAX, PIRN_NEVER));
        CHECK(n == VERSION || n == 0);
        for (size_t i = 1; i < n; i++)
            CHECK_EQ(((char *)data)[i], *(char *)data);
        free(data);
    }
    for (int i = 0; i < 4; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_OK(unlink(ws.path));
    return 0;
}

START_TEST(who_loads_finds_one_version)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, save_and_look, NULL));
    CHECK_EQ(files_count(files_dir), 0);
}
END_TEST

/* ---- Copy ----------------------------------------------------------------------------------- */

static void copy(void)
{
    char from[FILES_PATH], to[FILES_PATH];
    struct stat st;
    static const size_t sizes[] = {0, 1, 300000, (9 << 20) + 3}; /* the last: more than a chunk */
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char *data = pattern(sizes[i]);
        files_path(from, "from");
        files_path(to, "to");
        files_write(from, data, sizes[i]);
        CHECK_OK(chmod(from, 0750));
        CHECK_OK(pirn_file_copy(from, to, 0, PIRN_NEVER));
        CHECK(files_hold(to, data, sizes[i]));
        CHECK_OK(stat(to, &st));
        CHECK_EQ(st.st_mode & 07777, 0750);
        CHECK_EQ(pirn_file_copy(from, to, PIRN_FILE_EXCLUSIVE, PIRN_NEVER), -EEXIST);
        CHECK_OK(pirn_file_copy(to, to, PIRN_FILE_SYNC, PIRN_NEVER)); /* to itself */
        CHECK(files_hold(to, data, sizes[i]));
        CHECK_OK(unlink(from) | unlink(to));
        free(data);
    }
    files_path(to, "to");
    CHECK_OK(pirn_file_copy("/proc/self/maps", to, 0, PIRN_NEVER)); /* of no size, on another */
    CHECK_OK(stat(to, &st));
    CHECK(st.st_size > 1000);
    CHECK_EQ(pirn_file_copy("/tmp/no/such/pirn", to, 0, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_file_copy(to, "/tmp/no/such/pirn", 0, PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_file_copy(files_dir, to, 0, PIRN_NEVER), -EISDIR);
    CHECK_EQ(pirn_file_copy("/dev/null", to, 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_file_copy(NULL, to, 0, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_file_copy(to, NULL, 0, PIRN_NEVER), -EINVAL);
    files_path(from, "fifo");
    CHECK_OK(mkfifo(from, 0600));
    CHECK_EQ(pirn_file_copy(from, to, 0, PIRN_NEVER), -EINVAL); /* and no waiting for a writer */
    CHECK_OK(unlink(from) | unlink(to));
    CHECK_EQ(files_count(files_dir), 0);
}

START_TEST(copy_all_sizes)
{
    support_census before = support_count();
    support_everywhere(copy);
    support_no_more_than(before);
}
END_TEST

/* ---- Directories ---------------------------------------------------------------------------- */

enum {
    ENTRIES = 3000 /* some batches */
};

static void list(void)
{
    static bool seen[ENTRIES];
    pirn_dir *dir;
    pirn_dir_entry e;
    struct stat st;
    int n = 0, dir_fd = open(files_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    memset(seen, 0, sizeof(seen));
    CHECK_OK(pirn_dir_open(&dir, dir_fd, "list", PIRN_NEVER));
    while (pirn_dir_next(dir, &e, PIRN_NEVER) == 1) {
        int i = atoi(e.name + 2);
        CHECK(i >= 0 && i < ENTRIES && !seen[i]);
        seen[i] = true;
        n++;
        if (i % 100 == 0) {
            char path[FILES_PATH + 32];
            snprintf(path, sizeof(path), "%s/list/%s", files_dir, e.name);
            CHECK_OK(lstat(path, &st));
            CHECK_EQ(e.inode, st.st_ino);
            CHECK(e.type == DT_UNKNOWN || e.type == (e.name[0] == 'd'   ? DT_DIR
                                                     : e.name[0] == 's' ? DT_LNK
                                                                        : DT_REG));
        }
    }
    CHECK_EQ(n, ENTRIES);
    CHECK_EQ(pirn_dir_next(dir, &e, PIRN_NEVER), 0); /* and again */
    CHECK_EQ(pirn_dir_next(dir, NULL, PIRN_NEVER), -EINVAL);
    pirn_dir_close(dir);
    pirn_dir_close(NULL);
    CHECK_OK(mkdirat(dir_fd, "gone", 0700));
    CHECK_OK(pirn_dir_open(&dir, dir_fd, "gone", PIRN_NEVER));
    CHECK_OK(unlinkat(dir_fd, "gone", AT_REMOVEDIR));
    CHECK_EQ(pirn_dir_next(dir, &e, PIRN_NEVER), 0); /* as with readdir(3) */
    pirn_dir_close(dir);
    CHECK_EQ(pirn_dir_open(&dir, dir_fd, "none", PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_dir_open(&dir, AT_FDCWD, "/dev/null", PIRN_NEVER), -ENOTDIR);
    CHECK_EQ(pirn_dir_open(&dir, AT_FDCWD, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_dir_open(NULL, dir_fd, "list", PIRN_NEVER), -EINVAL);
    CHECK_OK(close(dir_fd));
}

/* A cancel that comes with a batch to be fetched: no entry is lost by it. */
static int list_cancelled(void *arg)
{
    pirn_dir *dir;
    pirn_dir_entry e;
    int n = 0, cancels = 0, rc;
    (void)arg;
    CHECK_OK(pirn_dir_open(&dir, AT_FDCWD, files_dir, PIRN_NEVER));
    CHECK_EQ(pirn_dir_next(dir, &e, PIRN_NEVER), 1);
    CHECK(strcmp(e.name, "list") == 0);
    CHECK_EQ(pirn_dir_next(dir, &e, PIRN_NEVER), 0);
    pirn_dir_close(dir);
    char path[FILES_PATH];
    snprintf(path, sizeof(path), "%s/list", files_dir);
    CHECK_OK(pirn_dir_open(&dir, AT_FDCWD, path, PIRN_NEVER));
    do {
        CHECK_OK(pirn_cancel(pirn_current(), NULL));
        rc = pirn_dir_next(dir, &e, PIRN_NEVER);
        if (rc == -ECANCELED) {
            cancels++;
            rc = pirn_dir_next(dir, &e, PIRN_NEVER);
        }
        n += rc;
        CHECK_GE(rc, 0);
    } while (rc == 1);
    CHECK_EQ(n, ENTRIES);
    CHECK_EQ(cancels, ENTRIES + 1);
    pirn_dir_close(dir);
    return 0;
}

START_TEST(directories)
{
    char path[FILES_PATH + 32];
    support_census before = support_count();
    snprintf(path, sizeof(path), "%s/list", files_dir);
    CHECK_OK(mkdir(path, 0700));
    for (int i = 0; i < ENTRIES; i++) {
        char kind = i % 300 == 0 ? 'd' : i % 500 == 0 ? 's' : 'f';
        snprintf(path, sizeof(path), "%s/list/%c-%d", files_dir, kind, i);
        CHECK_OK(kind == 'd'   ? mkdir(path, 0700)
                 : kind == 's' ? symlink("x", path)
                               : mknod(path, S_IFREG | 0600, 0));
    }
    support_everywhere(list);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, list_cancelled, NULL));
    for (int i = 0; i < ENTRIES; i++) {
        char kind = i % 300 == 0 ? 'd' : i % 500 == 0 ? 's' : 'f';
        snprintf(path, sizeof(path), "%s/list/%c-%d", files_dir, kind, i);
        CHECK_OK(remove(path));
    }
    snprintf(path, sizeof(path), "%s/list", files_dir);
    CHECK_OK(rmdir(path));
    support_no_more_than(before);
}
END_TEST

SUPPORT_MAIN("file_whole", begin, load_all_sizes, load_what_comes_slowly, save_replaces_it_whole,
             who_loads_finds_one_version, copy_all_sizes, directories, end)
