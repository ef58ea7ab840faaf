/*
 * A stream's inside: two halves that do not meet.
 *
 * Field            who may touch it
 * state            anybody, atomically: who reads, whether it is closing, references
 * ops, self, limit, high, low, idle   constant
 * in               who has STREAM_READING; idled and error are read by anybody
 * out              holders of the lock; but the bytes of the first chunk are read without it by who
 *                  has out.sending, and only that one takes a chunk out
 * own              descriptor.c
 *
 * References: the program's, one for each call under way, and one for the task that sends in the
 * background. So whatever is closed and released meanwhile, a call's memory is there.
 *
 * Rejected: one lock for everything. A reader would hold it while it copies, or need a mark of its
 * own anyway; and the two sides of a connection run on different workers.
 */
#ifndef PIRN_API_STREAM_STREAM_H
#define PIRN_API_STREAM_STREAM_H

#include <pirn.h>
#include <stdatomic.h>

#include "runtime/wait.h"

enum {
    STREAM_READING = 1, /* in state: somebody reads */
    STREAM_CLOSING = 2, /* close or abort has begun; never taken back */
    STREAM_REF = 4
};

/* What has been written and not sent: first in, first out. */
struct chunk {
    struct chunk *next;
    size_t start, end, room;
    char data[];
};

struct descriptor {
    int fd;
    bool is_socket, is_pipe, keep;
    bool one_way; /* a pipe that is only written to: to close it is its end, and ends no reading */
    _Atomic uint32_t users; /* calls inside; and whether it is closed */
    struct fd_users who;    /* of these, those that may wait: one that reads, one that writes */
    atomic_bool writing;    /* a write is inside: whoever writes, of whom there is one at a time */
    atomic_int broken;      /* what a write was told that ended the connection; or 0 */
};

struct pirn_stream {
    _Atomic uint32_t state;
    struct lock lock; /* over out */
    const pirn_transport *ops;
    void *self;
    size_t limit, high, low;
    int64_t idle; /* ns; 0: as long as a read likes */
    struct {
        char *buf; /* NULL while there is nothing to keep */
        size_t start, end, room;
        uint32_t chunk;   /* what the next read asks for */
        uint32_t first;   /* what one asks for that waits for a message; 0: none has yet */
        unsigned narrow;  /* messages in a row that would have fitted a smaller first one */
        atomic_int error; /* that came for good; read by anybody */
        bool ended;
        atomic_bool idled; /* idle has ended the last read (a look is none) */
        bool skipping;     /* the rest of a line that was too long comes next */
    } in;
    struct {
        struct chunk *first, *last;
        size_t pending;         /* bytes in the chunks */
        struct waiter *waiting; /* for less of it, or for the close */
        int error;              /* that came for good: nothing is pending any more */
        bool sending;           /* somebody has the right to send */
        bool paused;            /* more than high, and not yet down to low: drains wait */
        bool ended;             /* nothing more may be written: somebody ends it, or has */
        bool told;              /* of that the peer has been told */
        bool taken_down;        /* somebody calls the transport's close, or has */
        bool closed;            /* it has returned */
    } out;
    struct descriptor own; /* self, if it stands on one */
};

static inline void stream_ref(pirn_stream *s)
{
    atomic_fetch_add_explicit(&s->state, STREAM_REF, memory_order_relaxed);
}

/* -EINVAL: it is no config, or has other flags than these. */
int pirn_stream_check(const pirn_stream_config *config, unsigned flags);

/* Gives up a reference, and the right to read with it if flags say so. */
void pirn_stream_unref(pirn_stream *s, uint32_t flags);

/* The one that it stands on, or NULL. */
static inline pirn_stream *stream_below(const pirn_stream *s)
{
    return s->ops->below != NULL ? s->ops->below(s->self) : NULL;
}

/* The last read has ended because nothing came for as long as the config's idle. */
static inline bool stream_idled(const pirn_stream *s)
{
    return atomic_load_explicit(&s->in.idled, memory_order_relaxed);
}

/* Its peer has broken the connection (-ECONNRESET, -EPIPE): a read or a write of the stream's, or
 * of one that it stands on, has been told. Closed or not. */
bool pirn_stream_has_gone(pirn_stream *s);

/* see_off.c. As pirn_stream_close, but the peer loses nothing of what was sent. After a cancel it
 * waits for nothing any more, and returns -ECANCELED only if something was not sent then. */
int pirn_stream_see_off(pirn_stream *s, pirn_time deadline);

/* After such an error of a transport another try is worth it; every other one stays. */
bool pirn_stream_may_retry(ssize_t error);

/* descriptor.c: a stream's own transport. */
extern const pirn_transport pirn_descriptor_ops;
int pirn_descriptor_init(struct descriptor *d, int fd, bool keep);

/* reader.c. Begin: 0 and the right to read with a reference, or an error; waits: as a call that may
 * suspend. Fill: more bytes into the buffer: how many; 0: the end; or an error. */
int pirn_reader_begin(const char *call, pirn_stream *s, bool waits);
/* The same of a stream that is closing, by who closes it. False: somebody reads. */
bool pirn_reader_take(pirn_stream *s);
static inline int reader_error(const pirn_stream *s)
{
    return atomic_load_explicit(&s->in.error, memory_order_relaxed);
}
ssize_t pirn_reader_fill(pirn_stream *s, pirn_time deadline);
/* Room for so many bytes more behind those in the buffer: 0 or -ENOMEM. */
int pirn_reader_room(pirn_stream *s, size_t want);
/* These bytes have been handed out: the rest of a line that was too long may be over. */
void pirn_reader_took(pirn_stream *s, const char *data, ssize_t n);
/* After a call that leaves no view behind: ends it. */
void pirn_reader_end(pirn_stream *s);

static inline size_t stream_buffered(const pirn_stream *s)
{
    return s->in.end - s->in.start;
}

/* drain.c, in steps. Sets STREAM_CLOSING; false: it was set. */
bool pirn_stream_begin_close(pirn_stream *s);
/* The second step and the others; entered: what the wait's enter said. */
int pirn_stream_go_on_closing(pirn_stream *s, struct wait *w, int entered, pirn_time deadline);
/* As drain, or (all) flush, and end, of a stream that may be closing. */
int pirn_stream_send(const char *call, pirn_stream *s, struct wait *w, bool all,
                     pirn_time deadline);
int pirn_stream_send_end(pirn_stream *s, struct wait *w, pirn_time deadline);

/* writer.c. Under the lock, by who has out.sending: lets it go, to a task in the background if
 * something is pending; drops the lock. */
void pirn_writer_pass_on(pirn_stream *s);
/* By who has out.sending: sends until nothing is pending, or (unless all) drains need not wait any
 * more. 0 and the right is let go, or an error and it was let go too. background: by the task that
 * has no other work. */
int pirn_writer_send(pirn_stream *s, bool all, bool background, pirn_time deadline);
/* It has failed for good, for this reason: waiters hear of it, and what is pending is dropped. */
void pirn_writer_fail(pirn_stream *s, int error);
/* Frees chunks. */
void pirn_writer_free(struct chunk *chunk);

#endif
