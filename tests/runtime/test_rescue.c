/* wraps pirn_port_try_collect */
/* wraps pirn_ring_wait */
/* wraps pirn_ring_prepare */
/*
 * A worker looks at the port of a peer that is just going to sleep. What it takes there may be an
 * operation that has to go on: a poll that came before the request. Nobody but the peer would
 * submit that then, and the peer has looked.
 *
 *   1. main, on worker A, has a deadline come while it runs: A's port is due. Another worker, which
 *      main has woken, is about to collect there, and is held
 *   2. main reads from a pipe, by a poll, as is done where a kernel would not wait. A finds nothing
 *      to do, says that it sleeps, and is held on its way into the ring's wait. There the pipe
 *      becomes readable, and the completion is posted
 *   3. the other one collects it; and only then A sleeps
 *
 * Or a wake-up for the peer, which has to be sent again: the same without the pipe, into which A
 * writes once it has been woken.
 */
#include "tests/support.h"

#include <fcntl.h>

#include "runtime/runtime.h"
#include "runtime/self.h"

bool __real_pirn_port_try_collect(struct port *p, int64_t now, struct op_list *done, bool *wake);
bool __wrap_pirn_port_try_collect(struct port *p, int64_t now, struct op_list *done, bool *wake);
int __real_pirn_ring_wait(struct ring *r, int64_t until);
int __wrap_pirn_ring_wait(struct ring *r, int64_t until);
bool __real_pirn_ring_prepare(struct ring *r, struct op *op);
bool __wrap_pirn_ring_prepare(struct ring *r, struct op *op);
bool pirn_ring_has_completions(const struct ring *r);

enum stage {
    OFF,
    ARMED,     /* who collects in port is to be held */
    HELD,      /* it is */
    WAITS,     /* port's owner is at its wait, with a completion */
    COLLECTED, /* which the other has taken */
    MISSED     /* the owner did not come, or got no completion: once more */
};
static atomic_int stage;
static _Atomic(struct port *) port;
static int pair[2];
static atomic_bool wakes; /* it is a wake-up */

static bool goes_on(int from, int to)
{
    return atomic_compare_exchange_strong(&stage, &from, to);
}

static bool comes(int awaited)
{
    support_blocking_begin();
    for (int i = 0; i < 20000 && atomic_load(&stage) < awaited; i++)
        usleep(100);
    support_blocking_end();
    return atomic_load(&stage) == awaited;
}

bool __wrap_pirn_port_try_collect(struct port *p, int64_t now, struct op_list *done, bool *wake)
{
    if (p != atomic_load(&port) || !goes_on(ARMED, HELD))
        return __real_pirn_port_try_collect(p, now, done, wake);
    bool set = comes(WAITS);
    bool taken = __real_pirn_port_try_collect(p, now, done, wake);
    atomic_store(&stage, set && taken ? COLLECTED : MISSED);
    return taken;
}

int __wrap_pirn_ring_wait(struct ring *r, int64_t until)
{
    struct port *p = atomic_load(&port);
    if (p == NULL || r != p->ring || atomic_load(&stage) != HELD)
        return __real_pirn_ring_wait(r, until);
    support_blocking_begin();
    if (atomic_load(&wakes))
        pirn_port_wake(p);
    else
        CHECK_EQ(write(pair[1], "a", 1), 1);
    for (int i = 0; i < 10000 && !pirn_ring_has_completions(r); i++)
        usleep(100);
    support_blocking_end();
    if (goes_on(HELD, pirn_ring_has_completions(r) ? WAITS : MISSED))
        comes(COLLECTED);
    int rc = __real_pirn_ring_wait(r, until); /* for ever, if the wake-up is not sent again */
    if (atomic_load(&stage) == COLLECTED && atomic_load(&wakes))
        CHECK_EQ(support_write(pair[1], "a", 1), 1);
    return rc;
}

bool __wrap_pirn_ring_prepare(struct ring *r, struct op *op)
{
    if (op->kind == OP_READ && op->polling == 0)
        op->polling = OP_POLLING; /* as if it had been tried */
    return __real_pirn_ring_prepare(r, op);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int read_one(void *arg)
{
    char byte;
    (void)arg;
    CHECK_OK(pirn_call_at(NULL, NULL, nothing, NULL, pirn_after_us(100)));
    atomic_store(&port, &pirn_self()->worker->port);
    atomic_store(&stage, ARMED);
    support_blocking_begin();
    for (int i = 0; i < 2000 && atomic_load(&stage) == ARMED; i++) {
        CHECK_OK(pirn_spawn(NULL, nothing, NULL)); /* somebody wakes for it */
        usleep(500);
    }
    support_blocking_end();
    goes_on(ARMED, MISSED);
    CHECK_EQ(pirn_read(pair[0], &byte, 1, PIRN_NEVER), 1);
    return 0;
}

static atomic_int over;

/* The scene could not be set: main gets its byte from here. */
static void *make_do(void *arg)
{
    while (atomic_load(&over) == 0) {
        if (goes_on(MISSED, OFF))
            CHECK_EQ(write(pair[1], "a", 1), 1);
        usleep(1000);
    }
    return arg;
}

static void set_scenes(bool wake)
{
    atomic_store(&wakes, wake);
    atomic_store(&stage, OFF);
    for (int i = 0; i < 20 && atomic_load(&stage) != COLLECTED; i++) {
        atomic_store(&stage, OFF);
        atomic_store(&over, 0);
        CHECK_OK(pipe2(pair, O_CLOEXEC | O_NONBLOCK));
        pthread_t thread = support_thread(make_do, NULL);
        CHECK_OK(support_run(2, read_one, NULL)); /* for ever, if nobody submits it */
        atomic_store(&over, 1);
        support_thread_join(thread);
        atomic_store(&port, NULL);
        CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));
    }
}

START_TEST(what_is_collected_for_a_peer_that_goes_to_sleep_goes_on)
{
    set_scenes(false);
}
END_TEST

START_TEST(a_wake_up_that_is_collected_for_a_peer_that_goes_to_sleep_comes_again)
{
    set_scenes(true);
}
END_TEST

SUPPORT_MAIN("rescue", what_is_collected_for_a_peer_that_goes_to_sleep_goes_on,
             a_wake_up_that_is_collected_for_a_peer_that_goes_to_sleep_comes_again)
