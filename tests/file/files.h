/*
 * What the tests of files share: a directory of their own, in PIRN_TEST_DIR or /tmp, and names in
 * it.
 */
#ifndef PIRN_TESTS_FILES_H
#define PIRN_TESTS_FILES_H

#include "tests/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    FILES_PATH = 256
};

static char files_dir[FILES_PATH / 2];

/* A name that has not been used yet. */
static inline void files_path(char ret_path[FILES_PATH], const char *name)
{
    static atomic_int number;
    snprintf(ret_path, FILES_PATH, "%s/%s-%d", files_dir, name, atomic_fetch_add(&number, 1));
}

static inline void files_write(const char *path, const void *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK_GE(fd, 0);
    for (size_t at = 0; at < n;) {
        ssize_t put = support_write(fd, (const char *)data + at, n - at);
        CHECK(put > 0);
        at += (size_t)put;
    }
    CHECK_OK(close(fd));
}

/* Is that what the file holds? */
static inline bool files_hold(const char *path, const void *data, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    char *held = malloc(n + 1);
    CHECK(held);
    size_t at = 0;
    ssize_t got;
    while (at <= n && (got = support_read(fd, held + at, n + 1 - at)) > 0)
        at += (size_t)got;
    CHECK_OK(close(fd));
    bool same = at == n && memcmp(held, data, n) == 0;
    free(held);
    return same;
}

/* How many entries are in the directory. */
static inline int files_count(const char *path)
{
    DIR *dir = opendir(path);
    CHECK(dir);
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return n;
}

static inline void files_begin(void)
{
    const char *where = getenv("PIRN_TEST_DIR");
    snprintf(files_dir, sizeof(files_dir), "%s/pirn-file-XXXXXX", where ? where : "/tmp");
    CHECK(mkdtemp(files_dir));
    umask(022);
}

/* Fails if the tests have left anything. */
static inline void files_end(void)
{
    CHECK_OK(rmdir(files_dir));
}

#endif
