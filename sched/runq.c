/*
 * The run queue's less frequent halves: overflow, stealing. Structure and rules stand
 * in runq.h.
 *
 * Rejected: ck_ring's single-producer multi-consumer ring (5.2 ns an enqueue-dequeue pair here,
 * and no way to take half at once), and a compare-and-swap head as in Go (about 5 ns a pop).
 */
#include "sched/runq.h"

static uint32_t head_of(const struct runq *q)
{
    return atomic_load_explicit(&q->head, memory_order_relaxed);
}

static uint32_t tail_of(const struct runq *q)
{
    return atomic_load_explicit(&q->tail, memory_order_relaxed);
}

void pirn_runq_init(struct runq *q)
{
    pirn_biased_init(&q->lock);
    atomic_init(&q->head, 0);
    atomic_init(&q->tail, 0);
    atomic_init(&q->slot, NULL);
}

struct node *pirn_runq_take_half(struct runq *q, unsigned *ret_n)
{
    struct node *first = NULL, **end = &first;
    biased_enter(&q->lock);
    uint32_t head = head_of(q);
    unsigned n = (tail_of(q) - head + 1) / 2;
    for (unsigned i = 0; i < n; i++) {
        struct node *node = q->ring[(head + i) % RUNQ_CAPACITY];
        *end = node;
        end = &node->next;
    }
    *end = NULL;
    atomic_store_explicit(&q->head, head + n, memory_order_relaxed);
    biased_leave(&q->lock);
    *ret_n = n;
    return first;
}

static unsigned take_oldest(struct runq *q, struct node **ret_nodes, unsigned max)
{
    uint32_t head = head_of(q);
    uint32_t n = (tail_of(q) - head + 1) / 2;
    if (n > max)
        n = max;
    for (uint32_t i = 0; i < n; i++)
        ret_nodes[i] = q->ring[(head + i) % RUNQ_CAPACITY];
    atomic_store_explicit(&q->head, head + n, memory_order_relaxed);
    return n;
}

static unsigned take_wanted(struct runq *q, struct node **ret_nodes, unsigned max,
                            bool (*want)(const struct node *n))
{
    uint32_t tail = tail_of(q), keep = head_of(q);
    unsigned n = 0;
    for (uint32_t i = keep; i != tail; i++) {
        struct node *node = q->ring[i % RUNQ_CAPACITY];
        if (n < max && want(node))
            ret_nodes[n++] = node;
        else
            q->ring[keep++ % RUNQ_CAPACITY] = node;
    }
    atomic_store_explicit(&q->tail, keep, memory_order_relaxed);
    return n;
}

unsigned pirn_runq_steal(struct runq *q, struct node **ret_nodes, unsigned max, bool take_slot,
                         bool (*want)(const struct node *n))
{
    if (!pirn_biased_try_thief(&q->lock))
        return 0;
    unsigned n =
        want != NULL ? take_wanted(q, ret_nodes, max, want) : take_oldest(q, ret_nodes, max);
    struct node *newest = atomic_load_explicit(&q->slot, memory_order_relaxed);
    if (take_slot && n < max && newest != NULL && (want == NULL || want(newest))) {
        atomic_store_explicit(&q->slot, NULL, memory_order_relaxed);
        ret_nodes[n++] = newest;
    }
    pirn_biased_leave_thief(&q->lock);
    return n;
}
