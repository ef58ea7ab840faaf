/*
 * Ciphertext from the stream below, by one at a time (engine.c says when); the others wait until
 * something was fed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/tls/tls.h"

enum {
    FEED = 32 * 1024,        /* ciphertext taken from below at a time */
    LOOK_MS = 50,            /* until it is looked whether all that was said has been sent */
    DISCARD_MOST = 64 * 1024 /* of what nobody reads */
};

/* Waits until something has been fed. On its coroutine's stack; next and waits are under the
 * lock. */
struct tls_hungry {
    struct tls_hungry *next;
    pirn_event fed;
    bool waits; /* in the list */
};

/* Under the lock: the right to feed goes to whoever takes it first. The events are set before the
 * lock is dropped, as who waited takes the lock before it returns. */
static void stop_feeding(struct tls *t)
{
    t->feeding = false;
    while (t->hungry != NULL) {
        struct tls_hungry *h = t->hungry;
        t->hungry = h->next;
        h->waits = false;
        pirn_event_set(&h->fed);
    }
}

/* Under the lock, which it drops for the time. */
static int wait_for_feeder(struct tls *t, pirn_time deadline)
{
    struct tls_hungry me = {t->hungry, PIRN_EVENT_INIT, true};
    t->hungry = &me;
    pthread_mutex_unlock(&t->lock);
    int rc = pirn_event_wait(&me.fed, deadline);
    pthread_mutex_lock(&t->lock);
    struct tls_hungry **link = &t->hungry;
    while (me.waits && *link != &me)
        link = &(*link)->next;
    if (me.waits)
        *link = me.next;
    return rc;
}

/* Waits for bytes below. What TLS has said may be with nobody who sends it, if there was no task
 * for that: then it is sent here, as far as it goes, for the peer may be waiting for it. While the
 * peer takes none of it each look is twice as long as the last, so that below's own idle time comes
 * to its end. */
static ssize_t peek_below(struct tls *t, const char **ret_data, pirn_time deadline)
{
    size_t before = SIZE_MAX, left;
    int64_t ms = LOOK_MS;
    while ((left = pirn_stream_pending(t->below)) != 0) {
        int rc = pirn_stream_drain(t->below, PIRN_NOW);
        if (rc == -ECANCELED || rc == -ESHUTDOWN)
            return rc;
        ms = left < before ? LOOK_MS : 2 * ms;
        before = left;
        pirn_time look = pirn_after_ms(ms);
        if (deadline.ns <= look.ns)
            break;
        ssize_t n = pirn_stream_peek(t->below, ret_data, 1, look);
        if (n != -ETIMEDOUT || pirn_now().ns < look.ns)
            return n;
    }
    return pirn_stream_peek(t->below, ret_data, 1, deadline);
}

/* Under the lock, which it drops for the time, by who has the right to feed, which it gives up. */
static int take_from_below(struct tls *t, pirn_time deadline)
{
    const char *data;
    pthread_mutex_unlock(&t->lock);
    ssize_t n = peek_below(t, &data, deadline);
    pthread_mutex_lock(&t->lock);
    int rc = n < 0 ? (int)n : 0;
    if (n == 0) {
        if (t->why == NULL)
            t->why = strdup("the connection was cut: the peer has not said that it ends");
        rc = -ECONNRESET;
    } else if (n > 0) {
        if (n > FEED)
            n = FEED;
        rc = pirn_tls_bytes_put(&t->in, data, (size_t)n);
        if (rc == 0)
            rc = pirn_stream_consume(t->below, (size_t)n);
        t->fed++;
    }
    stop_feeding(t);
    return rc;
}

/* That it is asked how often OpenSSL has been fed, and the wait begun, under one hold of the lock
 * is what counts: else somebody feeds in between, takes the right again, and waits for a peer that
 * waits for this call. */
int pirn_tls_feed(struct tls *t, uint64_t fed, pirn_time deadline)
{
    int rc = 0;
    pthread_mutex_lock(&t->lock);
    while (rc == 0 && t->feeding && t->fed == fed)
        rc = wait_for_feeder(t, deadline);
    if (rc == 0 && t->fed == fed) {
        t->feeding = true;
        rc = take_from_below(t, deadline);
    }
    pthread_mutex_unlock(&t->lock);
    return rc;
}

void pirn_tls_discard(struct tls *t)
{
    const char *data;
    ssize_t n = 0;
    size_t gone = 0;
    pthread_mutex_lock(&t->lock);
    bool mine = !t->feeding; /* else somebody reads */
    if (mine)
        t->feeding = true;
    pthread_mutex_unlock(&t->lock);
    if (!mine)
        return;
    bool shielded = pirn_shield_enter() == 0; /* a cancel is not for this */
    while (gone < DISCARD_MOST && (n = pirn_stream_peek(t->below, &data, 1, PIRN_NOW)) > 0) {
        pirn_stream_consume(t->below, (size_t)n);
        gone += (size_t)n;
    }
    if (shielded)
        pirn_shield_leave();
    pthread_mutex_lock(&t->lock);
    stop_feeding(t);
    pthread_mutex_unlock(&t->lock);
}
