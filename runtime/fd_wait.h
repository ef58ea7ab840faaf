/*
 * A plain thread's wait for a descriptor: poll(2), which a close of that descriptor ends.
 *
 * A coroutine's request is known to its runtime, and pirn_close stops it. A thread in poll(2) is
 * known to nobody, and close(2) does not wake it: so
 *   1. who waits is in a list, and polls a bell of its own (an eventfd) beside the descriptor
 *   2. who closes marks all that wait for the descriptor and rings their bells
 *   3. who finds itself marked touches the descriptor no more, leaves the list, and says -EBADF;
 *      who does not stays in it until its call is through, but for what may block by itself
 *   4. who closes looks again until nobody is left in the list, and then closes
 *
 * Only calls that have to wait come here, and a close where nobody waits reads one counter. Whoever
 * cannot have a bell (-EMFILE) waits without one, as beside close(2).
 *
 * Rejected: a signal to the thread (which one would be the program's business); shutdown(2), which
 * ends the socket for other processes that have it, too; one bell for all, kept open: every close
 * would wake every thread, and who counts descriptors would find one that he never opened. A bell
 * that a thread keeps for its next wait likewise: it would save 2 us of a wait, which takes 5 to 25
 * with the switch to whoever is waited for.
 */
#ifndef PIRN_RUNTIME_FD_WAIT_H
#define PIRN_RUNTIME_FD_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* A thread's, in its struct self; all zero at first. */
struct fd_wait {
    struct fd_wait *next, **at; /* under the bucket's mutex, as is: */
    bool stopped;
    bool listed;  /* its own thread's */
    int fd, bell; /* constant while it is listed */
};

/* The events that came, or -EBADF, -ETIMEDOUT, ... From here on the calling thread's call is on the
 * descriptor, until pirn_fd_wait_end. [plain thread] */
int pirn_fd_wait(int fd, unsigned events, int64_t deadline);
/* The same, before it waits. */
void pirn_fd_wait_begin(int fd);
void pirn_fd_wait_leave(struct fd_wait *w);

/* The call is through with its descriptor, if it has waited for it. */
static inline void pirn_fd_wait_end(struct fd_wait *w)
{
    if (w->listed)
        pirn_fd_wait_leave(w);
}

/* Ends all waits for fd; true if there was any: call again, they take a moment. [anywhere] */
bool pirn_fd_wait_stop(int fd);

void pirn_fd_wait_forget(void); /* in a fork's child: their threads did not come along */

#endif
