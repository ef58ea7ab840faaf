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

static uint32_t low_of(const struct runq *q)
{
    return atomic_load_explicit(&q->brood_low, memory_order_relaxed);
}

static uint32_t high_of(const struct runq *q)
{
    return atomic_load_explicit(&q->brood_high, memory_order_relaxed);
}

void pirn_runq_init(struct runq *q)
{
    pirn_biased_init(&q->lock);
    atomic_init(&q->head, 0);
    atomic_init(&q->tail, 0);
    atomic_init(&q->slot, NULL);
    atomic_init(&q->brood_low, 0);
    atomic_init(&q->brood_high, 0);
    q->due = q->next_due = 0;
}

struct node *pirn_runq_age(struct runq *q, bool oldest)
{
    struct node *n = NULL;
    q->due = q->next_due;
    q->next_due = tail_of(q);
    if (!oldest || pirn_runq_brood_size(q) == 0)
        return NULL;
    biased_enter(&q->lock);
    uint32_t low = low_of(q);
    if (low != high_of(q)) {
        n = q->brood[low % BROOD_CAPACITY];
        atomic_store_explicit(&q->brood_low, low + 1, memory_order_relaxed);
    }
    biased_leave(&q->lock);
    return n;
}

void pirn_runq_bring_up(struct runq *q, uint32_t from, bool (*want)(const struct node *n))
{
    biased_enter(&q->lock);
    uint32_t tail = tail_of(q), high = high_of(q), room = BROOD_CAPACITY - (high - low_of(q));
    bool whole = (int32_t)(from - head_of(q)) >= 0 && tail - from <= room;
    for (uint32_t i = from; whole && i != tail; i++)
        whole = want(q->ring[i % RUNQ_CAPACITY]);
    if (whole) {
        for (uint32_t i = tail; i != from; i--)
            q->brood[high++ % BROOD_CAPACITY] = q->ring[(i - 1) % RUNQ_CAPACITY];
        atomic_store_explicit(&q->tail, from, memory_order_relaxed);
        atomic_store_explicit(&q->brood_high, high, memory_order_relaxed);
    }
    biased_leave(&q->lock);
}

bool pirn_runq_adopt(struct runq *q, struct node *n)
{
    biased_enter(&q->lock);
    uint32_t high = high_of(q);
    bool room = high - low_of(q) < BROOD_CAPACITY;
    if (room) {
        q->brood[high % BROOD_CAPACITY] = n;
        atomic_store_explicit(&q->brood_high, high + 1, memory_order_relaxed);
    }
    biased_leave(&q->lock);
    return room;
}

unsigned pirn_runq_steal_brood(struct runq *q, struct node **ret_nodes, unsigned max)
{
    if (!pirn_biased_try_thief(&q->lock))
        return 0;
    uint32_t low = low_of(q), n = (high_of(q) - low + 1) / 2;
    if (n > max)
        n = max;
    for (uint32_t i = 0; i < n; i++)
        ret_nodes[i] = q->brood[(low + i) % BROOD_CAPACITY];
    atomic_store_explicit(&q->brood_low, low + n, memory_order_relaxed);
    pirn_biased_leave_thief(&q->lock);
    return n;
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
