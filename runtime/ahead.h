/*
 * Looking ahead: what the queue holds next is brought into the cache while the present task runs.
 *
 * With a thousand connections every task that is resumed has a cold stack, a TLB entry to be had
 * first, and a cold descriptor. Of the task third in line the descriptor is fetched, of the next
 * one the frames, whose address is in the descriptor. Echo at 1,000 connections on one worker,
 * messages per CPU second, medians of 15 in turns: 181,000 with, 174,000 without; at 64 and in the
 * rows without I/O the same within the noise. Tried, no gain: the operations of the completions
 * to be taken next (io/collect.c), with 1,000 connections of echo and 4,000 of HTTP.
 *
 * Hints only: the entries are read without the queue's lock and may be stale, or about to be
 * stolen; a descriptor is never given back while its runtime lives, and a fetch of a wild address
 * is void. It is a race that nothing depends on, so there is none of it under TSan.
 */
#ifndef PIRN_RUNTIME_AHEAD_H
#define PIRN_RUNTIME_AHEAD_H

#include "runtime/task.h"
#include "runtime/worker.h"

static inline void pirn_look_ahead(const struct worker *w)
{
#ifndef PIRN_TSAN
    enum {
        LINE = 64,
        FRAMES = 8 * LINE, /* from the switch to the caller's buffer, in a receive */
        LATER = 3
    };
    uint32_t head = atomic_load_explicit(&w->q.head, memory_order_relaxed);
    if (atomic_load_explicit(&w->q.tail, memory_order_relaxed) - head <= LATER)
        return; /* so few are warm anyhow */
    const struct pirn_task *next = task_of_node(w->q.ring[head % RUNQ_CAPACITY]);
    const struct pirn_task *later = task_of_node(w->q.ring[(head + LATER) % RUNQ_CAPACITY]);
    for (size_t at = 0; at < sizeof(*later); at += LINE)
        __builtin_prefetch((const char *)later + at);
    uintptr_t sp = (uintptr_t)next->sp; /* NULL in a task that has not begun */
    for (size_t at = 0; at < FRAMES; at += LINE)
        __builtin_prefetch((const void *)(sp + at));
#else
    (void)w;
#endif
}

#endif
