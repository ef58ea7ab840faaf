/*
 * Streams as a whole: made, counted, looked at, freed. reader.c and record.c read, writer.c and
 * drain.c write and close.
 */
#include "api/stream/stream.h"

#include <errno.h>
#include <stdlib.h>

#include "runtime/debug.h"

#define BAD_CONFIG "the config has an unknown flag, low beyond high, or idle < 0"
#define BAD_OPS "the transport has no read, write or close, or the config has flags"

enum {
    LIMIT = 64 * 1024,
    HIGH = 64 * 1024
};

static size_t high_of(const pirn_stream_config *config)
{
    return config->high != 0 ? config->high : HIGH;
}

int pirn_stream_check(const pirn_stream_config *config, unsigned flags)
{
    return config->size == sizeof(*config) && (config->flags & ~flags) == 0 &&
                   config->low <= high_of(config) && config->idle.ns >= 0
               ? 0
               : -EINVAL;
}

static int make(const char *call, pirn_stream **ret_stream, const pirn_stream_config *config)
{
    static const pirn_stream_config plain = PIRN_STREAM_CONFIG_INIT;
    const pirn_stream_config *c = config != NULL ? config : &plain;
    if (ret_stream == NULL || pirn_stream_check(c, PIRN_STREAM_KEEP_FD) != 0)
        return pirn_misuse(call, -EINVAL,
                           ret_stream == NULL ? MISUSE_NULL
                                              : misuse_of_config(c->size, sizeof(*c), BAD_CONFIG));
    size_t high = high_of(c);
    pirn_stream *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    atomic_init(&s->state, STREAM_REF);
    lock_init(&s->lock);
    s->limit = c->limit != 0 ? c->limit : LIMIT;
    s->high = high;
    s->low = c->low != 0 ? c->low : high / 4;
    s->idle = c->idle.ns;
    *ret_stream = s;
    return 0;
}

int pirn_stream_new(pirn_stream **ret_stream, int fd, const pirn_stream_config *config)
{
    pirn_stream *s;
    int rc = make(__func__, ret_stream != NULL ? &s : NULL, config);
    if (rc != 0)
        return rc;
    bool keep = config != NULL && (config->flags & PIRN_STREAM_KEEP_FD) != 0;
    rc = pirn_descriptor_init(&s->own, fd, keep);
    if (rc != 0) {
        free(s);
        return rc;
    }
    s->ops = &pirn_descriptor_ops;
    s->self = &s->own;
    *ret_stream = s;
    return 0;
}

int pirn_stream_over(pirn_stream **ret_stream, const pirn_transport *ops, void *self,
                     const pirn_stream_config *config)
{
    if (ops == NULL || ops->size != sizeof(*ops) || ops->read == NULL || ops->write == NULL ||
        ops->close == NULL || (config != NULL && config->flags != 0))
        return pirn_misuse(__func__, -EINVAL,
                           ops == NULL ? MISUSE_NULL
                                       : misuse_of_config(ops->size, sizeof(*ops), BAD_OPS));
    int rc = make(__func__, ret_stream, config);
    if (rc != 0)
        return rc;
    (*ret_stream)->ops = ops;
    (*ret_stream)->self = self;
    return 0;
}

void *pirn_stream_self(const pirn_stream *stream, const pirn_transport *ops)
{
    return stream != NULL && stream->ops == ops ? stream->self : NULL;
}

pirn_stream *pirn_stream_retain(pirn_stream *stream)
{
    if (stream != NULL)
        stream_ref(stream);
    return stream;
}

void pirn_stream_unref(pirn_stream *s, uint32_t flags)
{
    /* acq_rel: the next reader has what this one left; everybody's last use comes before the
     * free */
    uint32_t old = atomic_fetch_sub_explicit(&s->state, STREAM_REF + flags, memory_order_acq_rel);
    if (old - flags >= 2 * STREAM_REF)
        return;
    pirn_writer_free(s->out.first);
    free(s->in.buf);
    if (s->ops->free != NULL)
        s->ops->free(s->self);
    free(s);
}

void pirn_stream_release(pirn_stream *stream)
{
    if (stream != NULL)
        pirn_stream_unref(stream, 0);
}

bool pirn_stream_may_retry(ssize_t error)
{
    return error == -ECANCELED || error == -ETIMEDOUT || error == -ESHUTDOWN || error == -ENOMEM ||
           error == -ENOBUFS || error == -EAGAIN;
}

bool pirn_stream_has_gone(pirn_stream *s)
{
    int in = 0, out = 0;
    for (; s != NULL && in != -ECONNRESET && out != -ECONNRESET && out != -EPIPE;
         s = stream_below(s)) {
        in = reader_error(s);
        lock_take(&s->lock);
        out = s->out.error;
        lock_drop(&s->lock);
    }
    return in == -ECONNRESET || out == -ECONNRESET || out == -EPIPE;
}

int pirn_stream_fd(const pirn_stream *stream)
{
    if (stream == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    return stream->ops->fd != NULL ? stream->ops->fd(stream->self) : -EBADF;
}

size_t pirn_stream_pending(pirn_stream *stream)
{
    if (stream == NULL)
        return 0;
    lock_take(&stream->lock);
    /* After an error nothing is: the chunks are their sender's still, who drops them. */
    size_t pending = stream->out.error == 0 ? stream->out.pending : 0;
    lock_drop(&stream->lock);
    pirn_stream *below = stream_below(stream);
    return below == NULL ? pending : pending + pirn_stream_pending(below);
}

bool pirn_stream_at_end(const pirn_stream *stream)
{
    return stream != NULL && stream->in.ended && stream_buffered(stream) == 0;
}

bool pirn_stream_is_closing(const pirn_stream *stream)
{
    return stream != NULL &&
           (atomic_load_explicit(&stream->state, memory_order_relaxed) & STREAM_CLOSING) != 0;
}
