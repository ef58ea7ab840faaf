/*
 * Replacing a file as a whole: a new one is written beside it, and takes its name when it is
 * complete.
 *
 *   1. pirn_replacement_begin   opens the directory, so that it stays the same one whatever is
 *                               renamed meanwhile, and makes the new file there
 *   2. the caller writes to fd
 *   3. pirn_replacement_commit  syncs if asked to, renames; or pirn_replacement_abort removes it
 *
 * Up to the rename nothing has happened, and a cancel or the deadline ends it. What comes after,
 * the sync of the directory, is not stopped any more. Removing the new file is not either.
 *
 * Rejected: O_TMPFILE, which cannot take a name that is in use.
 */
#ifndef PIRN_API_FILE_REPLACE_H
#define PIRN_API_FILE_REPLACE_H

#include <pirn.h>

struct replacement {
    int fd; /* the new file's; write only */
    int dir_fd;
    const char *name; /* in the directory; the caller's path's end */
    unsigned flags;
    char temporary[64];
};

/* If it fails there is nothing to abort. path is used until the end. */
int pirn_replacement_begin(struct replacement *r, const char *path, mode_t mode, unsigned flags,
                           pirn_time deadline);
/* Ends it either way. */
int pirn_replacement_commit(struct replacement *r, pirn_time deadline);
void pirn_replacement_abort(struct replacement *r);

#endif
