/*
 * The simulated kernel's part of io_uring, in io/ring.c's stead: a ring that can be waited for and
 * woken. There are no requests in it: the loads compute, talk and sleep, and a sleep is among the
 * port's deadlines.
 */
#include "io/ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/simulate/assumptions.h"
#include "perf/simulate/interpose.h"
#include "perf/simulate/kernel.h"
#include "perf/simulate/machine.h"

/* What the kernel and the program share, a line for who writes it. */
struct shared {
    _Alignas(64) unsigned cq_tail; /* the kernel: */
    _Alignas(64) unsigned cq_head; /* the program: */
    _Alignas(64) unsigned sq_head, sq_tail, sq_flags;
    _Alignas(64) struct io_uring_cqe completions[];
};

enum {
    COMPLETIONS = 4096
};

static struct shared *shared_of(const struct ring *r)
{
    return (struct shared *)(void *)r->uring.cq.ktail;
}

static void refuse(void)
{
    fputs("simulate: the simulated kernel knows no requests\n", stderr);
    exit(1);
}

int pirn_ring_init(struct ring *r, unsigned entries, unsigned completions, bool patient)
{
    (void)entries;
    (void)completions;
    (void)patient;
    struct shared *s = aligned_alloc(64, sizeof(*s) + COMPLETIONS * sizeof(struct io_uring_cqe));
    if (s == NULL)
        return -ENOMEM;
    memset(s, 0, sizeof(*s));
    memset(r, 0, sizeof(*r));
    r->event_fd = -1;
    r->uring.cq.ktail = &s->cq_tail;
    r->uring.cq.khead = &s->cq_head;
    r->uring.cq.cqes = s->completions;
    r->uring.cq.ring_mask = COMPLETIONS - 1;
    r->uring.sq.khead = &s->sq_head;
    r->uring.sq.ktail = &s->sq_tail;
    r->uring.sq.kflags = &s->sq_flags;
    return 0;
}

void pirn_ring_destroy(struct ring *r)
{
    free(shared_of(r));
}

bool pirn_ring_prepare(struct ring *r, struct op *op)
{
    (void)r;
    (void)op;
    refuse();
    return false;
}

bool pirn_ring_prepare_cancel(struct ring *r, struct op *op)
{
    return pirn_ring_prepare(r, op);
}

bool pirn_ring_prepare_event(struct ring *r)
{
    (void)r;
    return true;
}

void pirn_ring_publish(struct ring *r)
{
    (void)r;
}

void pirn_ring_limit_helpers(struct ring *r, unsigned helpers)
{
    (void)r;
    (void)helpers;
}

unsigned pirn_ring_unsubmitted(const struct ring *r)
{
    return __atomic_load_n(r->uring.sq.ktail, __ATOMIC_RELAXED) -
           __atomic_load_n(r->uring.sq.khead, __ATOMIC_ACQUIRE);
}

bool pirn_ring_wants_enter(const struct ring *r)
{
    return __atomic_load_n(r->uring.sq.kflags, __ATOMIC_RELAXED) != 0;
}

bool pirn_ring_has_overflow(const struct ring *r)
{
    (void)r;
    return false;
}

bool pirn_ring_has_completions(const struct ring *r)
{
    return __atomic_load_n(r->uring.cq.khead, __ATOMIC_RELAXED) !=
           __atomic_load_n(r->uring.cq.ktail, __ATOMIC_ACQUIRE);
}

int pirn_ring_enter(struct ring *r)
{
    (void)r;
    machine_spend(assume.call_ns);
    return 0;
}

/* Between the look and the sleep nobody else gets a turn: what comes is seen, or wakes. */
int pirn_ring_wait(struct ring *r, int64_t until)
{
    if (until != INT64_MAX && until <= machine_now_ns())
        return pirn_ring_enter(r);
    machine_spend(assume.sleep_ns);
    machine_in_order();
    if (*r->uring.cq.khead == *r->uring.cq.ktail)
        kernel_sleep(r, until);
    return 0;
}

int pirn_ring_wake(struct ring *r)
{
    struct shared *s = shared_of(r);
    machine_in_order();
    int64_t called = machine_me->now;
    machine_touch((uintptr_t)&s->cq_tail, sizeof(s->cq_tail), ACCESS_WRITE);
    machine_touch((uintptr_t)&s->completions[s->cq_tail % COMPLETIONS], 16, ACCESS_WRITE);
    s->completions[s->cq_tail % COMPLETIONS] = (struct io_uring_cqe){.user_data = RING_WAKE};
    s->cq_tail++;
    kernel_counts.ring_wakes++;
    kernel_wake(r, called);
    return 0;
}
