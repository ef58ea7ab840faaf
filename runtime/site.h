/*
 * Places in the program's code, for people: where a task was spawned, and, in debug mode, where it
 * waits.
 */
#ifndef PIRN_RUNTIME_SITE_H
#define PIRN_RUNTIME_SITE_H

#include <stdatomic.h>
#include <stddef.h>

struct pirn_task;

enum {
    SITES_MAX = 12,
    SITE_TEXT = 96,
    SITES_TEXT = 256
};

/* Return addresses, innermost first, up to the task's function; NULL: no more. Written by the task,
 * read by whoever prints them, racing harmlessly (relaxed). */
struct sites {
    _Atomic(void *) pc[SITES_MAX];
};

/* symbol+0x1f, or file+0x1f for a symbol that is not exported (addr2line tells more). */
void pirn_site_text(const void *site, char *buf, size_t size);

/* The calling task is about to wait here. */
void pirn_sites_capture(struct pirn_task *t);
/* " at a+0x1 < b+0x2", or "" if nothing is known. pirn's own frames are left out if it is a library
 * of its own; linked into the program they cannot be told from the program's, and come first. */
void pirn_sites_text(const struct pirn_task *t, char *buf, size_t size);

#endif
