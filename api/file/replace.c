/*
 * Replacing a file; see replace.h.
 */
#include "api/file/replace.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/file/request.h"
#include "io/sys.h"

/* Cleaning up happens whatever the task's state: shielded, and by the system call in the end. */
static void remove_temporary(struct replacement *r)
{
    struct pirn_task *t = pirn_current_task();
    bool shielded = t != NULL && pirn_task_shield(t) == 0;
    if (pirn_unlinkat(r->dir_fd, r->temporary, 0, PIRN_NEVER) == -ESHUTDOWN)
        sys_unlinkat(r->dir_fd, r->temporary, 0);
    if (shielded)
        pirn_task_unshield(t);
}

static int sync_directory(struct replacement *r)
{
    struct pirn_task *t = pirn_current_task();
    bool shielded = t != NULL && pirn_task_shield(t) == 0;
    int rc = pirn_fsync(r->dir_fd, PIRN_NEVER);
    if (rc == -ESHUTDOWN)
        rc = sys_fsync(r->dir_fd);
    if (shielded)
        pirn_task_unshield(t);
    return rc;
}

static int open_directory(const char *path, const char *name, int flags, pirn_time deadline)
{
    if (name == path)
        return pirn_openat(AT_FDCWD, ".", flags, 0, deadline);
    char *dir = strndup(path, (size_t)(name - path)); /* with its slash: of the root that is all */
    if (dir == NULL)
        return -ENOMEM;
    int fd = pirn_openat(AT_FDCWD, dir, flags, 0, deadline);
    free(dir);
    return fd;
}

static int make_temporary(struct replacement *r, mode_t mode, pirn_time deadline)
{
    enum {
        TRIES = 100
    };
    static _Atomic unsigned long number; /* anybody, relaxed: a counter */
    int fd = -EEXIST;
    for (int i = 0; i < TRIES && fd == -EEXIST; i++) {
        unsigned long n = atomic_fetch_add_explicit(&number, 1, memory_order_relaxed);
        snprintf(r->temporary, sizeof(r->temporary), ".pirn-%lx-%lx-%lx", (unsigned long)getpid(),
                 n, (unsigned long)clock_now());
        fd = pirn_openat(r->dir_fd, r->temporary, O_WRONLY | O_CREAT | O_EXCL, mode, deadline);
    }
    return fd;
}

/* It fails at the rename otherwise, after all the work. */
static int look_for(struct replacement *r, pirn_time deadline)
{
    struct stat st;
    int rc = pirn_fstatat(r->dir_fd, r->name, &st, AT_SYMLINK_NOFOLLOW, deadline);
    return rc == 0 ? -EEXIST : rc == -ENOENT ? 0 : rc;
}

int pirn_replacement_begin(struct replacement *r, const char *path, mode_t mode, unsigned flags,
                           pirn_time deadline)
{
    bool syncs = (flags & PIRN_FILE_SYNC) != 0;
    if (path == NULL || (flags & ~(unsigned)(PIRN_FILE_SYNC | PIRN_FILE_EXCLUSIVE)) != 0)
        return pirn_file_refuse(-EINVAL);
    const char *slash = strrchr(path, '/');
    r->name = slash != NULL ? slash + 1 : path;
    r->flags = flags;
    if (*r->name == '\0' && slash == NULL)
        return pirn_file_refuse(-ENOENT);
    if (*r->name == '\0' || strcmp(r->name, ".") == 0 || strcmp(r->name, "..") == 0)
        return pirn_file_refuse(-EISDIR);
    r->dir_fd = open_directory(path, r->name, (syncs ? O_RDONLY : O_PATH) | O_DIRECTORY, deadline);
    if (r->dir_fd < 0)
        return r->dir_fd;
    int rc = (flags & PIRN_FILE_EXCLUSIVE) != 0 ? look_for(r, deadline) : 0;
    r->fd = rc == 0 ? make_temporary(r, mode, deadline) : rc;
    if (r->fd < 0)
        pirn_close(r->dir_fd);
    return r->fd < 0 ? r->fd : 0;
}

/* A file system may know no rename that replaces nothing (NFS: -EINVAL). There it is a second name,
 * and then the first one goes. */
static int take_name(struct replacement *r, pirn_time deadline)
{
    bool exclusive = (r->flags & PIRN_FILE_EXCLUSIVE) != 0;
    int rc = pirn_renameat(r->dir_fd, r->temporary, r->dir_fd, r->name,
                           exclusive ? RENAME_NOREPLACE : 0, deadline);
    if (rc != -EINVAL || !exclusive)
        return rc;
    rc = pirn_linkat(r->dir_fd, r->temporary, r->dir_fd, r->name, 0, deadline);
    if (rc == 0)
        remove_temporary(r);
    return rc;
}

int pirn_replacement_commit(struct replacement *r, pirn_time deadline)
{
    bool syncs = (r->flags & PIRN_FILE_SYNC) != 0;
    int rc = syncs ? pirn_fsync(r->fd, deadline) : 0;
    int closed = pirn_close(r->fd); /* some file systems tell only now what went wrong */
    if (rc == 0)
        rc = closed;
    if (rc == 0)
        rc = take_name(r, deadline);
    if (rc != 0)
        remove_temporary(r);
    else if (syncs)
        rc = sync_directory(r);
    pirn_close(r->dir_fd);
    return rc;
}

void pirn_replacement_abort(struct replacement *r)
{
    pirn_close(r->fd);
    remove_temporary(r);
    pirn_close(r->dir_fd);
}
