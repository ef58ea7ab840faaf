/*
 * Writing: at once what the kernel takes, the rest in the background.
 *
 * The right to send (out.sending) is with one at a time:
 *   1. a write that finds nothing pending and nobody sending takes it, and tries to send its bytes
 *      itself, without waiting and without the lock;
 *   2. what is left becomes a chunk at the head of what is pending (others may have written
 *      meanwhile: theirs is behind it), and the right goes to a task that sends until nothing is
 *      pending;
 *   3. any other write appends its bytes: to the last chunk if they are few and fit, else as a
 *      chunk of their own, filled before the lock is taken.
 * The task holds a reference. If memory is short it tries again. When it is cancelled, as all tasks
 * are when main ends, or cannot be made (no memory), the right is let go with bytes
 * pending: the next write tries to make one again, and drain, end and close send in their caller's
 * own time (drain also if it is so little that it would not wait for a task: nobody else would send
 * it). So nothing is sent any more in the background once the runtime ends, and a close in a
 * coroutine's cleanup still works.
 *
 * Rejected: a task for each stream that lives as long as it: 4 KiB and a descriptor for each idle
 * connection. And sending by an operation that is nobody's wait: the ring's operations live in
 * tasks.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/format.h"
#include "api/stream/stream.h"
#include "runtime/debug.h"
#include "runtime/task.h"

enum {
    SMALL = 4096,     /* bytes that are copied under the lock, */
    ROOM = 16 * 1024, /* into a chunk of this size */
    PIECES = 1024,    /* of one send: the kernel's limit */
    PAUSE_MS = 5
};

void pirn_writer_free(struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

static void wake_all(pirn_stream *s, struct wakeups *wakeups)
{
    while (s->out.waiting != NULL)
        pirn_waiter_claim(pirn_waiter_pop(&s->out.waiting), wakeups);
}

/* Under the lock. */
static struct chunk *take_all(pirn_stream *s)
{
    struct chunk *all = s->out.first;
    s->out.first = s->out.last = NULL;
    s->out.pending = 0;
    return all;
}

/* Under the lock, by who has out.sending. Drops the lock. */
static void let_go(pirn_stream *s)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    struct chunk *dropped = s->out.error != 0 ? take_all(s) : NULL;
    s->out.sending = false;
    wake_all(s, &wakeups);
    lock_drop(&s->lock);
    pirn_writer_free(dropped);
    pirn_wakeups_run(&wakeups);
}

void pirn_writer_fail(pirn_stream *s, int error)
{
    struct wakeups wakeups;
    wakeups_init(&wakeups);
    lock_take(&s->lock);
    if (s->out.error == 0)
        s->out.error = error;
    /* The chunk that is being sent is its sender's, who drops them all. */
    struct chunk *dropped = s->out.sending ? NULL : take_all(s);
    wake_all(s, &wakeups);
    lock_drop(&s->lock);
    pirn_writer_free(dropped);
    pirn_wakeups_run(&wakeups);
}

/* ---- The background ---- */

struct sender {
    pirn_stream *stream;
    bool has_run;
};

static int send_all(void *arg)
{
    struct sender *sender = arg;
    sender->has_run = true;
    pirn_writer_send(sender->stream, true, true, PIRN_NEVER);
    return 0; /* an error is told to who writes */
}

static void end_sender(void *arg)
{
    struct sender *sender = arg;
    pirn_stream *s = sender->stream;
    if (!sender->has_run) {
        lock_take(&s->lock);
        let_go(s);
    }
    free(sender);
    pirn_stream_unref(s, 0);
}

void pirn_writer_pass_on(pirn_stream *s)
{
    bool needed = s->out.first != NULL && s->out.error == 0;
    if (!needed) {
        let_go(s);
        return;
    }
    lock_drop(&s->lock);
    /* A limit on tasks would have what is written lie here for as long as its reader waits for
     * it. There is one at most of a stream. */
    static const struct spawn_how how = {.beyond_limit = true};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    struct sender *sender = malloc(sizeof(*sender));
    if (sender != NULL) {
        *sender = (struct sender){s, false};
        stream_ref(s);
        config.name = "stream";
        config.flags = PIRN_OFF_STRAND;
        config.arg_drop = end_sender;
        if (pirn_task_spawn(&task, &config, send_all, sender, &how, __builtin_return_address(0)) ==
            0) {
            pirn_detach(task);
            return;
        }
        free(sender);
        pirn_stream_unref(s, 0); /* the caller has one too */
    }
    lock_take(&s->lock);
    let_go(s);
}

/* Under the lock, by who has out.sending: n bytes of the first chunk are sent. What is to be
 * freed. */
static struct chunk *sent(pirn_stream *s, size_t n, struct wakeups *wakeups)
{
    struct chunk *first = s->out.first;
    first->start += n;
    s->out.pending -= n;
    if (s->out.paused && s->out.pending <= s->low) {
        s->out.paused = false;
        wake_all(s, wakeups);
    }
    if (first->start != first->end)
        return NULL;
    s->out.first = first->next;
    if (s->out.first == NULL)
        s->out.last = NULL;
    first->next = NULL;
    return first;
}

/* Under the lock, which it drops for the time: there was no memory to send with, or the like. */
static int pause_sending(pirn_stream *s)
{
    lock_drop(&s->lock);
    int rc = pirn_sleep(pirn_after_ms(PAUSE_MS));
    lock_take(&s->lock);
    return rc;
}

int pirn_writer_send(pirn_stream *s, bool all, bool background, pirn_time deadline)
{
    int rc = 0;
    lock_take(&s->lock);
    while (s->out.error == 0 && s->out.first != NULL && (all || s->out.paused)) {
        struct wakeups wakeups;
        struct chunk *first = s->out.first, *done = NULL;
        size_t start = first->start, n = first->end - start;
        lock_drop(&s->lock);
        ssize_t got = s->ops->write(s->self, first->data + start, n, deadline);
        wakeups_init(&wakeups);
        lock_take(&s->lock);
        if (got > 0) {
            done = sent(s, (size_t)got, &wakeups);
        } else {
            rc = got < 0 ? (int)got : -EIO;
            if (!pirn_stream_may_retry(rc) && s->out.error == 0)
                s->out.error = rc;
            if (!background || s->out.error != 0 || rc == -ECANCELED || rc == -ESHUTDOWN)
                break;
            if ((rc = pause_sending(s)) != 0)
                break;
            continue;
        }
        lock_drop(&s->lock);
        pirn_writer_free(done);
        pirn_wakeups_run(&wakeups);
        lock_take(&s->lock);
    }
    if (s->out.error != 0)
        rc = s->out.error;
    if (background)
        let_go(s);
    else
        pirn_writer_pass_on(s);
    return rc;
}

/* ---- Writes ---- */

/* Copies what is behind the first `skip` bytes of the pieces. */
static void gather(char *to, const struct iovec *iov, int count, size_t skip)
{
    for (int i = 0; i < count; i++) {
        size_t n = iov[i].iov_len;
        if (skip >= n) {
            skip -= n;
            continue;
        }
        memcpy(to, (const char *)iov[i].iov_base + skip, n - skip);
        to += n - skip;
        skip = 0;
    }
}

/* Under the lock. */
static int refusal(const pirn_stream *s)
{
    if ((atomic_load_explicit(&s->state, memory_order_relaxed) & STREAM_CLOSING) != 0)
        return -EBADF;
    if (s->out.error != 0)
        return s->out.error;
    return s->out.ended ? -EPIPE : 0;
}

static void add(pirn_stream *s, struct chunk *chunk, bool in_front)
{
    bool behind = !in_front && s->out.first != NULL;
    chunk->next = behind ? NULL : s->out.first;
    if (behind)
        s->out.last->next = chunk;
    else
        s->out.first = chunk;
    if (chunk->next == NULL)
        s->out.last = chunk;
}

/* Under the lock, which it drops: the bytes behind the first `skip` are pending. mine: the right to
 * send is the caller's; they come first. */
static int append(pirn_stream *s, const struct iovec *iov, int count, size_t skip, size_t n,
                  bool mine)
{
    struct chunk *last = s->out.last;
    int rc = 0;
    if (!mine && n <= SMALL && last != NULL && last->room - last->end >= n) {
        gather(last->data + last->end, iov, count, skip);
        last->end += n;
        s->out.pending += n;
    } else {
        lock_drop(&s->lock);
        size_t room = n > SMALL ? n : mine ? SMALL : ROOM;
        struct chunk *chunk = n <= SIZE_MAX / 2 ? malloc(sizeof(*chunk) + room) : NULL;
        if (chunk != NULL) {
            *chunk = (struct chunk){NULL, 0, n, room};
            gather(chunk->data, iov, count, skip);
        }
        lock_take(&s->lock);
        /* A close or an end that has begun meanwhile waits for who has the right to send. */
        rc = chunk == NULL ? -ENOMEM : mine ? s->out.error : refusal(s);
        if (rc == 0) {
            add(s, chunk, mine);
            s->out.pending += n;
        } else {
            free(chunk);
        }
    }
    if (s->out.pending > s->high)
        s->out.paused = true;
    bool idle = !mine && !s->out.sending && s->out.first != NULL && s->out.error == 0;
    if (idle)
        s->out.sending = true;
    if (mine || idle)
        pirn_writer_pass_on(s);
    else
        lock_drop(&s->lock);
    return rc;
}

static ssize_t write_all(pirn_stream *s, const struct iovec *iov, int count, size_t n)
{
    size_t done = 0;
    bool mine = false;
    lock_take(&s->lock);
    int rc = refusal(s);
    if (rc != 0 || n == 0) {
        lock_drop(&s->lock);
        return rc;
    }
    if (!s->out.sending && s->out.first == NULL && s->ops->try_write != NULL) {
        mine = s->out.sending = true;
        lock_drop(&s->lock);
        ssize_t got = s->ops->try_write(s->self, iov, count < PIECES ? count : PIECES);
        lock_take(&s->lock);
        if (got < 0 && !pirn_stream_may_retry(got)) {
            if (s->out.error == 0)
                s->out.error = (int)got;
            let_go(s);
            return got;
        }
        done = got > 0 ? (size_t)got : 0;
        if (done == n) {
            pirn_writer_pass_on(s);
            return (ssize_t)n;
        }
    }
    rc = append(s, iov, count, done, n - done, mine);
    if (rc == 0)
        return (ssize_t)n;
    return done != 0 ? (ssize_t)done : rc;
}

static inline ssize_t write_from(const char *call, pirn_stream *stream, const struct iovec *iov,
                                 int count)
{
    size_t n = 0;
    if (stream == NULL || count < 0 || (iov == NULL && count != 0))
        return pirn_misuse(call, -EINVAL, count < 0 ? "count < 0" : MISUSE_NULL);
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > SSIZE_MAX - n || (iov[i].iov_base == NULL && iov[i].iov_len != 0))
            return pirn_misuse(call, -EINVAL, "a buffer is NULL, or too large");
        n += iov[i].iov_len;
    }
    if (pirn_current_task() == NULL)
        return pirn_misuse(call, -EPERM, MISUSE_NO_COROUTINE);
    stream_ref(stream);
    ssize_t rc = write_all(stream, iov, count, n);
    pirn_stream_unref(stream, 0);
    return rc;
}

ssize_t pirn_stream_writev(pirn_stream *stream, const struct iovec *iov, int count)
{
    return write_from(__func__, stream, iov, count);
}

ssize_t pirn_stream_write(pirn_stream *stream, const void *buf, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    return write_from(__func__, stream, &iov, 1);
}

ssize_t pirn_stream_printf(pirn_stream *stream, const char *format, ...)
{
    struct formatted text;
    va_list args;
    va_start(args, format);
    ssize_t rc = pirn_format(&text, format, args);
    va_end(args);
    if (rc == -EINVAL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    if (rc != 0)
        return rc;
    struct iovec iov = {text.at, text.n};
    rc = write_from(__func__, stream, &iov, 1);
    pirn_format_free(&text);
    return rc;
}
