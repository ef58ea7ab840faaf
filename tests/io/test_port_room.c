/* wraps pirn_ring_wake */
/*
 * More requests than a port's queues hold, wake-ups that others take or that are refused for a
 * moment, calls that cannot be made yet, and opens that wait.
 */
#include "tests/io/port.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

int __real_pirn_ring_wake(struct ring *r);
int __wrap_pirn_ring_wake(struct ring *r);

enum {
    MANY = 100
};

static int lost; /* so many wake-ups fail */

int __wrap_pirn_ring_wake(struct ring *r)
{
    return lost-- > 0 ? -ENOMEM : __real_pirn_ring_wake(r);
}

/* ---- More than there is room for ------------------------------------------------------------- */

/* Many times what the queues hold, by a flush and by a wait. */
START_TEST(more_than_the_queues_hold)
{
    static struct op ops[MANY];
    begin();
    CHECK_EQ(support_write(pair[1], "a", 1), 1);
    for (int waits = 0; waits < 2; waits++) {
        for (int i = 0; i < MANY; i++) {
            ops[i] = (struct op){.kind = OP_POLL, .flags = POLLIN};
            atomic_init(&ops[i].fd, pair[0]);
            CHECK_OK(pirn_port_start(&port, &ops[i], 1, INT64_MAX));
        }
        if (waits)
            pirn_port_wait(&port, &me, INT64_MAX);
        else
            pirn_port_flush(&port, &me);
        CHECK_EQ(atomic_load(&port.backlog), 0); /* all in one go, completions may overflow */
        CHECK(pirn_port_has_backlog(&port));     /* which they did */
        for (int n = 0; n < MANY; n++)
            CHECK_EQ(await()->res, POLLIN);
        CHECK(first_done() == NULL);
    }
    end();
}
END_TEST

/* ---- Wake-ups and calls ---------------------------------------------------------------------- */

START_TEST(who_takes_a_wake_up_is_told)
{
    bool wake;
    begin();
    for (int i = 0; i < 4; i++) {
        if (i == 2) /* as where a ring is sent no messages */
            port.ring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        lost = i;
        pirn_port_wake(&port); /* which has to come */
        pirn_port_wait(&port, &me, INT64_MAX);
        CHECK(pirn_port_try_collect(&port, 0, &done, &wake));
        CHECK(wake);
        CHECK(pirn_port_try_collect(&port, 0, &done, &wake));
        CHECK(!wake);
    }
    futex_lock_take(&port.lock);
    CHECK(!pirn_port_try_collect(&port, 0, &done, &wake));
    futex_lock_drop(&port.lock);
    end();
}
END_TEST

/* Its task cannot be made yet, say. */
START_TEST(a_call_that_is_refused_is_made_again)
{
    struct op op = {.kind = OP_CALL};
    begin();
    calls = 0;
    refusals = 2;
    CHECK_EQ(pirn_port_call_at(&port, &op, 200), 0);
    CHECK_EQ(pirn_port_call_at(&port, &op, 100), 1);
    CHECK(!pirn_port_is_idle(&port));
    CHECK(!pirn_port_is_due(&port, 99) && pirn_port_is_due(&port, 100));
    for (int64_t now = 99; calls < 3; now = atomic_load(&port.next_deadline)) {
        CHECK(done.head == NULL && op.state == OP_GUARD);
        CHECK(now != INT64_MAX);
        pirn_port_collect(&port, now, &done);
    }
    CHECK(first_done() == &made);
    CHECK(first_done() == NULL);
    CHECK_EQ(op.state, OP_IDLE);
    CHECK(!pirn_op_disarm(&op));
    end();
}
END_TEST

/* ---- Opens that wait ------------------------------------------------------------------------- */

/* Each has the threads that submit one helper more, and takes it along. */
START_TEST(an_open_that_waits_is_counted_while_it_does)
{
    char dir[] = "/tmp/pirn-port-XXXXXX", path[64];
    struct port *p;
    begin();
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/fifo", dir);
    CHECK_OK(mkfifo(path, 0600));
    for (int submitted = 0; submitted < 2; submitted++) {
        struct op op = {.kind = OP_OPENAT, .flags = O_RDONLY, .addr = (uintptr_t)path};
        atomic_init(&op.fd, AT_FDCWD);
        op.off = OP_BLOCKS;
        CHECK_OK(pirn_port_start(&port, &op, 1, INT64_MAX));
        CHECK_EQ(atomic_load(&pirn_port_waiting_opens), 1);
        if (submitted) {
            pirn_port_flush(&port, &me);
            CHECK_EQ(me.more, 1);
        }
        CHECK(pirn_op_stop(&op, 1, -ECANCELED, &p) == !submitted);
        if (submitted)
            CHECK(await() == &op);
        CHECK_EQ(op.res, -ECANCELED);
        CHECK_EQ(atomic_load(&pirn_port_waiting_opens), 0);
    }
    CHECK_OK(unlink(path));
    CHECK_OK(rmdir(dir));
    end();
}
END_TEST

SUPPORT_MAIN("io/port_room", more_than_the_queues_hold, who_takes_a_wake_up_is_told,
             a_call_that_is_refused_is_made_again, an_open_that_waits_is_counted_while_it_does)
