/*
 * A child process behind its handle.
 *
 *   spawn.c        how one is started
 *   process.c      the handle: waited for, signalled, released
 *   orphans.c      those whose handle has gone before they have ended
 *   communicate.c  input and output all at once, and the end
 *   stop.c         ending one: asked first, then killed
 *
 * Who reaps: whoever looks first. A waiter polls the pidfd, which any number may do, and then looks
 * (pirn_process_look): under the lock waitid(P_PIDFD), which does not wait, and the status is kept.
 * So there is no watcher, no SIGCHLD handler, and no wait for a number: a child stays a zombie
 * until somebody looks or its handle goes. A signal looks first, and is sent under the lock. A
 * group's number is the group's as long as its leader has not been reaped: so of a leader the look
 * takes the status alone (WNOWAIT), and the zombie stays until the handle goes. (Rejected:
 * PIDFD_SIGNAL_PROCESS_GROUP, which needs no zombie, but Linux 6.9.)
 *
 * Field               who may touch it
 * refs                anybody, atomically; the last one releases
 * ended, lost, status holders of the lock
 * next, link          orphans.c
 * busy                whoever sets it (acquire), until it clears it (release): talk is its
 * the others          constant
 */
#ifndef PIRN_API_PROCESS_PROCESS_H
#define PIRN_API_PROCESS_PROCESS_H

#include <pirn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What pirn_process_communicate has come to. */
struct talk {
    size_t given; /* bytes of the input that are the stream's now */
    struct {
        char *data; /* NULL: not at its end yet */
        size_t len;
    } got[2];
};

struct pirn_process {
    _Atomic uint32_t refs;
    pthread_mutex_t lock;
    bool ended; /* and reaped, unless it leads a group */
    bool lost;  /* by somebody else: there is no status */
    int status;

    pid_t pid;
    int pidfd;   /* -1: it had been lost before there was one */
    pid_t owner; /* whose child it is: not a fork's child's */
    unsigned flags;
    int pipes[3];                      /* until they are streams; then -1 */
    pirn_stream *streams[3];           /* NULL: no pipe */
    struct pirn_process *next, **link; /* orphans.c */
    atomic_flag busy;
    struct talk talk;
};

static inline bool process_leads_group(const pirn_process *p)
{
    return (p->flags & (PIRN_PROCESS_NEW_GROUP | PIRN_PROCESS_NEW_SESSION)) != 0;
}

/* Under the lock: reaps it if it has ended, but for the leader of a group, whom pirn_process_free
 * reaps. 0, -ECHILD (lost), -EINPROGRESS, or why waitid could not say. */
int pirn_process_look(pirn_process *p);

/* Takes over one whose last reference is gone, and frees it once it has been reaped. */
void pirn_orphan_adopt(pirn_process *p);
/* Has those looked at that could not be watched, for want of memory or the like. */
void pirn_orphans_look(void);
void pirn_process_free(pirn_process *p);

#endif
