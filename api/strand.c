/*
 * Strands as programs see them; what they do is in runtime/strand.c.
 */
#include "runtime/strand.h"
#include "runtime/debug.h"

#include <errno.h>
#include <pirn.h>
#include <stdlib.h>

#include "runtime/self.h"

int pirn_strand_new(pirn_strand **ret_strand)
{
    if (ret_strand == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    pirn_strand *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    atomic_init(&s->refs, 1);
    lock_init(&s->lock);
    *ret_strand = s;
    return 0;
}

pirn_strand *pirn_strand_retain(pirn_strand *strand)
{
    if (strand != NULL)
        atomic_fetch_add_explicit(&strand->refs, 1, memory_order_relaxed);
    return strand;
}

void pirn_strand_release(pirn_strand *strand)
{
    if (strand != NULL)
        pirn_strand_unref(strand);
}

pirn_strand *pirn_strand_current(void)
{
    struct pirn_task *t = pirn_current_task();
    return t != NULL ? task_strand(t) : NULL;
}
