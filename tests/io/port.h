/*
 * A port by itself, its owner and its peer one thread: what comes in an order that is rare in a
 * runtime. Times are the test's own, handed to pirn_port_collect.
 */
#ifndef PIRN_TESTS_IO_PORT_H
#define PIRN_TESTS_IO_PORT_H

#include "tests/support.h"

#include "io/clock.h"
#include "io/port.h"
#include "io/port_internal.h"
#include "io/ring.h"

enum {
    ENTRIES = 8,
    COMPLETIONS = 16
};

static struct port port;
static struct submitter me;
static struct op_list done;
static int pair[2];

static void *take(void *user, size_t bytes)
{
    (void)user;
    return malloc(bytes);
}

static void give(void *user, void *ptr)
{
    (void)user;
    free(ptr);
}

static const struct mem mem = {take, give, NULL};

static bool expire(struct op *op)
{
    (void)op;
    return true;
}

static struct op made; /* what a call makes, once it is not refused any more */
static int refusals, calls;

static struct op *call(struct op *op)
{
    (void)op;
    calls++;
    return refusals-- > 0 ? NULL : &made;
}

static inline void begin(void)
{
    memset(&port, 0, sizeof(port));
    done = (struct op_list){NULL, NULL};
    CHECK_OK(pirn_port_init(&port, &mem, ENTRIES, COMPLETIONS, true, expire, call));
    pirn_port_thread_init(&port, &me, 4);
    pirn_port_collect(&port, 0, &done); /* the ring's message to itself: see pirn_ring_init */
    support_pair(pair);
}

/* Nothing of what there was is left, nor counted. */
static inline void end(void)
{
    pirn_port_flush(&port, &me);
    CHECK(pirn_port_is_idle(&port));
    CHECK(!pirn_port_has_backlog(&port));
    CHECK(port.queue.head == NULL && port.cancels.head == NULL);
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
    pirn_port_destroy(&port);
}

static inline struct op receive(void *byte)
{
    struct op op = {.kind = OP_RECV, .addr = (uintptr_t)byte, .len = 1};
    atomic_init(&op.fd, pair[0]);
    return op;
}

static inline struct op *first_done(void)
{
    struct op *op = done.head;
    if (op != NULL)
        op_list_remove(&done, op);
    return op;
}

/* The next that is done, as an owner with nothing else to do has it. */
static inline struct op *await(void)
{
    struct op *op;
    while ((op = first_done()) == NULL) {
        pirn_port_wait(&port, &me, atomic_load(&port.next_deadline));
        pirn_port_collect(&port, clock_now(), &done);
    }
    return op;
}

#endif
