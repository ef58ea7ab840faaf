/*
 * Channels, and select over them.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here. All
 * calls are [anywhere], in any number of coroutines and threads at a time; each user of a handle
 * holds a reference, or somebody does who outlives it.
 *
 *     pirn_channel *numbers = NULL; // beside it pirn_channel *quit, of nothing
 *     int n, rc = pirn_channel_new(&numbers, sizeof(n), 16, NULL);
 *
 *     for (int i = 0; rc == 0 && i < 10; i++) // one coroutine sends,
 *         rc = pirn_channel_send(numbers, &i, PIRN_NEVER);
 *     pirn_channel_close(numbers, PIRN_CHANNEL_SEND);
 *
 *     while ((rc = pirn_channel_recv(numbers, &n, PIRN_NEVER)) == 1) // others receive, to the end;
 *         printf("%d\n", n);
 *
 *     pirn_case cases[] = {pirn_case_recv(numbers, &n), pirn_case_recv(quit, NULL)};
 *     rc = pirn_select(cases, 2, pirn_after_s(1)); // or from what is ready first, for a second
 *     if (rc == 0 && cases[0].result == 1)
 *         printf("%d\n", n); // cases[0].result is 0 at the end
 *     else if (rc == 1)
 *         printf("to quit\n");
 *     else if (rc == -ETIMEDOUT)
 *         printf("a second is over\n");
 *
 *     pirn_channel_release(numbers);
 */
#ifndef PIRN_CHANNEL_H
#define PIRN_CHANNEL_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

/* ---- Channels --------------------------------------------------------------------------- */

/*
 * A channel passes elements of one size from senders to receivers, each to one of them, in the
 * order sent. It holds up to `capacity` of them; with capacity 0 a send returns only when a
 * receiver has taken the item (Go's channels).
 *
 * Programs hold handles, counted by reference, with a sending side, a receiving side, or both. Go's
 * way is one handle for everybody, whose sending side somebody closes when all is sent. Trio's is a
 * handle of its own (pirn_channel_clone) for each sender and each receiver:
 *   - once the sending sides of all handles are closed, receivers get what is left, then the end;
 *   - once all receiving sides are closed, sends fail with -EPIPE, also those that wait;
 *   - closing a side of one of several handles ends, with -EPIPE, only what waits through it.
 */
typedef struct pirn_channel pirn_channel;

enum {
    PIRN_CHANNEL_SEND = 1u << 0,
    PIRN_CHANNEL_RECV = 1u << 1,
    PIRN_CHANNEL_BOTH = PIRN_CHANNEL_SEND | PIRN_CHANNEL_RECV
};

/*
 * A channel with one handle, which has both sides. elem_size may be 0: then items are signals, and
 * every item and ret_item is NULL (else -EINVAL), as with broadcasts and watches. drop, if given,
 * is called for each item in the channel that nobody can receive any more; it must not suspend.
 * -EINVAL, -ENOMEM. The caller owns the reference.
 */
PIRN_API PIRN_MUST_USE int pirn_channel_new(pirn_channel **ret_channel, size_t elem_size,
                                            size_t capacity, void (*drop)(void *item));

/* Another handle, with one of the sides that this one has, or both. -EINVAL, -ENOMEM, -EPERM (it
 * never had them), -EPIPE (it has closed them). The caller owns the reference. */
PIRN_API PIRN_MUST_USE int pirn_channel_clone(pirn_channel *channel, unsigned sides,
                                              pirn_channel **ret_channel);

PIRN_API pirn_channel *pirn_channel_retain(pirn_channel *channel);
PIRN_API void pirn_channel_release(pirn_channel *channel); /* the last one closes both sides */

/* Closes sides of this handle, see above. -EINVAL, -EALREADY (it has none of them open; nothing was
 * done). Does not suspend. */
PIRN_API int pirn_channel_close(pirn_channel *channel, unsigned sides);

/* Sends a copy of *item. [suspends] 0; -EPIPE (this side of the handle is closed, or nobody is left
 * to receive), -EPERM (the handle has no sending side), -ETIMEDOUT, -ECANCELED, -EINVAL: nobody has
 * or will get it. */
PIRN_API PIRN_MUST_USE int pirn_channel_send(pirn_channel *channel, const void *item,
                                             pirn_time deadline);

/* Receives. [suspends] 1 with the item in *ret_item; 0 at the end: every sending side is closed and
 * nothing is left, which is no error. -EPIPE (this side of the handle is closed), -EPERM,
 * -ETIMEDOUT, -ECANCELED, -EINVAL: nothing was taken. */
PIRN_API PIRN_MUST_USE int pirn_channel_recv(pirn_channel *channel, void *ret_item,
                                             pirn_time deadline);

/* The same without waiting: -EAGAIN when nobody is there. They look for no cancel. */
PIRN_API PIRN_MUST_USE int pirn_channel_try_send(pirn_channel *channel, const void *item);
PIRN_API PIRN_MUST_USE int pirn_channel_try_recv(pirn_channel *channel, void *ret_item);

/* How many items it held a moment ago. */
PIRN_API size_t pirn_channel_size(pirn_channel *channel);

/* ---- Select ----------------------------------------------------------------------------- */

/* One thing to wait for among several; made by the functions below. */
typedef struct pirn_case {
    int kind;   /* set by them */
    int result; /* set by select in the case that went: what the call alone would have returned */
    void *object, *item;
    uint64_t opaque[8]; /* select's, while it waits */
} pirn_case;

/* A case of a NULL channel never goes. A case that would fail at once (-EPIPE, say) does go, and
 * has that as its result; so does a receive at the end, with 0. */
PIRN_API pirn_case pirn_case_send(pirn_channel *channel, const void *item);
PIRN_API pirn_case pirn_case_recv(pirn_channel *channel, void *ret_item);
/* Goes when it has ended: result is its status, and its value goes to *ret_value, which may be
 * NULL. A NULL awaitable never has. Select only looks on: it passes no cancel on. A coroutine that
 * has not begun is begun when select has to wait. (A descriptor as a case: a task that calls
 * pirn_poll, cancelled and joined afterwards. A queue, a subscription or a watch likewise; what the
 * task has got for all that is in its status.) */
PIRN_API pirn_case pirn_case_await(pirn_awaitable *awaitable, void **ret_value);

/*
 * Waits until one of n cases can go, lets exactly that one go and returns its index; the others
 * have not happened. Where several can, one is picked at random (the first, if all cases are
 * awaitables: what has ended stays so). A channel may be in several cases, for sending and
 * receiving too; one select's cases never meet each other. The cases may be used again afterwards,
 * but not by two selects at a time. n = 0 only waits. Meant for tens of cases: the effort grows
 * with the square. [suspends]
 * -ETIMEDOUT, -ECANCELED, -EINVAL, -EDEADLK (a task waits for its own end): none has gone.
 */
PIRN_API PIRN_MUST_USE int pirn_select(pirn_case *cases, size_t n, pirn_time deadline);

/* The same without waiting, what select with a default case is in Go: -EAGAIN when none can go now.
 * It looks for no cancel. */
PIRN_API PIRN_MUST_USE int pirn_select_try(pirn_case *cases, size_t n);

/* ---- Broadcast -------------------------------------------------------------------------- */

/*
 * Every item goes to every subscription, from the moment it was made. The last `capacity` items are
 * kept; a subscription that lags behind further misses the oldest, and is told how many (Tokio's
 * broadcast). Sends never wait. Items are copied any number of times: let them own nothing.
 */
typedef struct pirn_broadcast pirn_broadcast;       /* counted by reference */
typedef struct pirn_subscription pirn_subscription; /* holds a reference to its broadcast */

/* -EINVAL (capacity 0), -ENOMEM. The caller owns the reference. */
PIRN_API PIRN_MUST_USE int pirn_broadcast_new(pirn_broadcast **ret_broadcast, size_t elem_size,
                                              size_t capacity);
PIRN_API pirn_broadcast *pirn_broadcast_retain(pirn_broadcast *broadcast);
PIRN_API void pirn_broadcast_release(pirn_broadcast *broadcast); /* does not close it */

/* Returns how many subscriptions there are (it is no error if there are none), or -EPIPE (closed),
 * -EINVAL. Does not suspend. */
PIRN_API int pirn_broadcast_send(pirn_broadcast *broadcast, const void *item);

/* No more items: receivers get what they have not seen, then the end. -EALREADY. */
PIRN_API int pirn_broadcast_close(pirn_broadcast *broadcast);

/* -EINVAL, -ENOMEM. The caller owns it and ends it, when nobody uses it any more. */
PIRN_API PIRN_MUST_USE int pirn_broadcast_subscribe(pirn_broadcast *broadcast,
                                                    pirn_subscription **ret_subscription);
PIRN_API void pirn_broadcast_unsubscribe(pirn_subscription *subscription);

/* The next item of the subscription. [suspends] 1 with the item; *ret_missed, which may be NULL,
 * says how many were lost before it. 0 at the end. -ETIMEDOUT, -ECANCELED, -EINVAL: nothing was
 * taken. Several may receive from one subscription: each item goes to one of them. */
PIRN_API PIRN_MUST_USE int pirn_broadcast_recv(pirn_subscription *subscription, void *ret_item,
                                               uint64_t *ret_missed, pirn_time deadline);
/* The same without waiting: -EAGAIN. */
PIRN_API PIRN_MUST_USE int pirn_broadcast_try_recv(pirn_subscription *subscription, void *ret_item,
                                                   uint64_t *ret_missed);

/* ---- Watch ------------------------------------------------------------------------------ */

/* One value that changes, of which only the latest counts. Its versions are numbered from 1. */
typedef struct pirn_watch pirn_watch; /* counted by reference */

/* -EINVAL, -ENOMEM. The caller owns the reference. */
PIRN_API PIRN_MUST_USE int pirn_watch_new(pirn_watch **ret_watch, size_t elem_size,
                                          const void *value);
PIRN_API pirn_watch *pirn_watch_retain(pirn_watch *watch);
PIRN_API void pirn_watch_release(pirn_watch *watch);

/* A new value: the next version. 0, -EPIPE (closed), -EINVAL. Does not suspend. */
PIRN_API int pirn_watch_set(pirn_watch *watch, const void *value);

/* No more changes: who waits for one gets the end. -EALREADY. */
PIRN_API int pirn_watch_close(pirn_watch *watch);

/* The present value and its version; either may be NULL. 0, -EINVAL. Does not suspend. */
PIRN_API int pirn_watch_get(pirn_watch *watch, void *ret_value, uint64_t *ret_version);

/* Waits until the version is another than `seen` (0 is never one). [suspends] 1 with the latest
 * value and its version, of which either may be NULL; 0 if the watch is closed and there is no
 * other version. -ETIMEDOUT, -ECANCELED, -EINVAL. */
PIRN_API PIRN_MUST_USE int pirn_watch_changed(pirn_watch *watch, uint64_t seen, void *ret_value,
                                              uint64_t *ret_version, pirn_time deadline);

#endif
