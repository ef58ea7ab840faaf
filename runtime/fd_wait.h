/*
 * A plain thread's wait for a descriptor: poll(2), which a close of that descriptor ends.
 *
 * A coroutine's request is known to its runtime, and pirn_close stops it. A thread in poll(2) is
 * known to nobody, and close(2) does not wake it: so
 *   1. who waits is in a list, and polls a bell of its own (an eventfd) beside the descriptor
 *   2. who closes marks all that wait for the descriptor and rings their bells
 *   3. who finds itself marked leaves the list, touches the descriptor no more, and says -EBADF
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

/* The events that came, or -EBADF, -ETIMEDOUT, ... [plain thread] */
int pirn_fd_wait(int fd, unsigned events, int64_t deadline);

/* Ends all waits for fd; true if there was any: call again, they take a moment. [anywhere] */
bool pirn_fd_wait_stop(int fd);

void pirn_fd_wait_forget(void); /* in a fork's child: their threads did not come along */

#endif
