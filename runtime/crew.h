/*
 * A crew: threads that take work from a queue, oldest first. Under thread pools and pirn_blocking.
 *
 * It is counted by reference: its maker's, one of each thread, and whoever else may still ask it
 * for something (a job, for as long as it has not ended). A fork's child has the memory, not the
 * threads: there everything gives -ESHUTDOWN or false, and touches no lock, which may have been
 * held.
 */
#ifndef PIRN_RUNTIME_CREW_H
#define PIRN_RUNTIME_CREW_H

#include <stdbool.h>
#include <stdint.h>

/* Something to be done, in a struct of whoever submits it. run is called on one of the threads; it
 * may free the struct. */
struct work {
    void (*run)(struct work *work);
    struct work *next, *prev; /* the crew's, under its mutex, as is: */
    bool queued;
};

struct crew;

/* At most so many threads, called that (a constant). -ENOMEM. One reference. */
int pirn_crew_new(struct crew **ret_crew, unsigned threads, const char *name);
void pirn_crew_ref(struct crew *crew);
void pirn_crew_unref(struct crew *crew);

/* Queues it, and starts a thread if none is idle. -EAGAIN: there is no thread, and none to be had;
 * -ESHUTDOWN. */
int pirn_crew_submit(struct crew *crew, struct work *work);
/* Takes it back: false if it has been taken by a thread, or by somebody else. */
bool pirn_crew_withdraw(struct crew *crew, struct work *work);
/* Takes back whatever is queued, one by one; NULL: nothing is. */
struct work *pirn_crew_withdraw_any(struct crew *crew);

/* Refuses more from now on. What is queued is still done; then the threads end. */
void pirn_crew_stop(struct crew *crew);
/* After a stop, waits until the last thread is through with its work: 0, or as pirn_wait_park. */
int pirn_crew_wait(struct crew *crew, int64_t deadline);

unsigned pirn_crew_threads(struct crew *crew); /* now */
/* Of all crews of this process: nothing is queued, and so many threads, all there are, wait for
 * work. *ret_begun grows by each piece of work that is begun. */
bool pirn_crews_are_idle(unsigned *ret_threads, uint64_t *ret_begun);
void pirn_crews_forget(void); /* in a fork's child */

#endif
