/* wraps pirn_ring_prepare */
/* wraps pirn_ring_prepare_cancel */
/*
 * What a request, its stop, its deadline and what the kernel says make of each other, in whatever
 * order they come. Where it has to be said at a certain time, or is said by few kernels, the ring
 * is sent it by a message.
 */
#include "tests/io/port.h"

bool __real_pirn_ring_prepare(struct ring *r, struct op *op);
bool __wrap_pirn_ring_prepare(struct ring *r, struct op *op);
bool __real_pirn_ring_prepare_cancel(struct ring *r, struct op *op);
bool __wrap_pirn_ring_prepare_cancel(struct ring *r, struct op *op);

enum {
    FAR_S = 1000
};

static int answer;        /* not 0: the next request's, in the kernel's stead */
static int cancel_answer; /* the same of a cancel */

/* A message to the ring itself instead of what was prepared last: it says what is said of that. */
static void replace(struct ring *r, int *said)
{
    struct io_uring_sq *sq = &r->uring.sq;
    struct io_uring_sqe *sqe = &sq->sqes[(sq->sqe_tail - 1) & sq->ring_mask];
    uint64_t data = sqe->user_data;
    if (*said == 0)
        return;
    io_uring_prep_msg_ring(sqe, r->uring.ring_fd, (unsigned)*said, data, 0);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    *said = 0;
}

bool __wrap_pirn_ring_prepare(struct ring *r, struct op *op)
{
    bool room = __real_pirn_ring_prepare(r, op);
    if (room)
        replace(r, &answer);
    return room;
}

bool __wrap_pirn_ring_prepare_cancel(struct ring *r, struct op *op)
{
    bool room = __real_pirn_ring_prepare_cancel(r, op);
    if (room)
        replace(r, &cancel_answer);
    return room;
}

/* ---- Stops and deadlines --------------------------------------------------------------------- */

/* A peer that serves a stuck owner's port looks at deadlines before it submits what is queued. */
START_TEST(what_is_late_before_it_was_submitted_has_one_try)
{
    char byte;
    begin();
    for (int data = 0; data < 2; data++) {
        struct op op = receive(&byte);
        CHECK_OK(pirn_port_start(&port, &op, 1, 100));
        if (data)
            CHECK_EQ(support_write(pair[1], "a", 1), 1);
        pirn_port_collect(&port, 100, &done);
        CHECK(done.head == NULL);
        CHECK_EQ(atomic_load(&port.next_deadline), INT64_MAX);
        CHECK(await() == &op);
        CHECK_EQ(op.res, data ? 1 : -ETIMEDOUT);
    }
    end();
}
END_TEST

START_TEST(the_first_stop_is_the_reason)
{
    struct port *p;
    char byte;
    int64_t deadline = clock_now() + FAR_S * 1000 * MS;
    begin();
    struct op op = receive(&byte);
    CHECK_OK(pirn_port_start(&port, &op, 1, deadline));
    pirn_port_flush(&port, &me);
    CHECK(!pirn_op_stop(&op, 2, -EIO, &p) && p == NULL); /* another use's */
    CHECK(!pirn_op_stop(&op, 1, -ECANCELED, &p) && p == &port);
    CHECK(!pirn_op_stop(&op, 1, -EBADF, &p) && p == NULL);
    pirn_port_collect(&port, deadline, &done);
    CHECK(done.head == NULL);
    CHECK(await() == &op);
    CHECK_EQ(op.res, -ECANCELED);
    CHECK_EQ(op.pending, 0);
    end();
}
END_TEST

/* The kernel finds the newest of many first, and the oldest are late first: see cancel_late. */
START_TEST(of_many_that_are_late_the_last_is_cancelled_first)
{
    enum {
        N = 5
    };
    struct op ops[N];
    char bytes[N];
    begin();
    for (int i = 0; i < N; i++) {
        ops[i] = receive(&bytes[i]);
        CHECK_OK(pirn_port_start(&port, &ops[i], 1, 100 + i / 2)); /* two at a time are equal */
    }
    pirn_port_flush(&port, &me);
    pirn_port_collect(&port, 200, &done);
    const struct op *op = port.cancels.head;
    for (int i = N - 1; i >= 0; i--, op = op->next)
        CHECK(op == &ops[i]);
    CHECK(op == NULL);
    for (int i = 0; i < N; i++)
        CHECK_EQ(await()->res, -ETIMEDOUT);
    end();
}
END_TEST

START_TEST(what_is_stopped_in_the_queue_was_never_there)
{
    struct port *p;
    char byte;
    begin();
    struct op op = receive(&byte);
    CHECK_OK(pirn_port_start(&port, &op, 1, clock_now() + FAR_S * 1000 * MS));
    CHECK(pirn_port_has_backlog(&port));
    CHECK(pirn_op_stop(&op, 1, -EBADF, &p) && p == NULL);
    CHECK_EQ(op.res, -EBADF);
    CHECK(!pirn_op_stop(&op, 1, -EBADF, &p) && p == NULL);
    CHECK(!pirn_port_has_backlog(&port));
    end();
}
END_TEST

/* The kernel would not wait, so a poll stands in; its answer is no result of a recv. */
START_TEST(a_stop_between_the_poll_and_the_request)
{
    struct port *p;
    char byte = 0;
    begin();
    struct op op = receive(&byte);
    answer = -EAGAIN;
    CHECK_OK(pirn_port_start(&port, &op, 1, INT64_MAX));
    while (op.polling != OP_POLLING) {
        pirn_port_wait(&port, &me, INT64_MAX);
        pirn_port_collect(&port, 0, &done);
    }
    pirn_port_flush(&port, &me);
    CHECK_EQ(support_write(pair[1], "a", 1), 1);
    while (!pirn_port_has_completions(&port))
        pirn_port_wait(&port, &me, INT64_MAX);
    CHECK(!pirn_op_stop(&op, 1, -ECANCELED, &p) && p == &port);
    CHECK(await() == &op);
    CHECK_EQ(op.res, -ECANCELED);
    CHECK_EQ(support_read(pair[0], &byte, 1), 1); /* nobody else has taken it */
    end();
}
END_TEST

/* It was between two places of the kernel's; nobody else would stop it. */
START_TEST(a_stop_that_finds_no_request_comes_again)
{
    struct port *p;
    char byte;
    begin();
    struct op op = receive(&byte);
    CHECK_OK(pirn_port_start(&port, &op, 1, INT64_MAX));
    pirn_port_flush(&port, &me);
    CHECK(!pirn_op_stop(&op, 1, -ECANCELED, &p) && p == &port);
    cancel_answer = -ENOENT;
    CHECK(await() == &op);
    CHECK_EQ(op.res, -ECANCELED);
    CHECK_EQ(cancel_answer, 0);
    end();
}
END_TEST

/* ---- What the kernel says -------------------------------------------------------------------- */

/* Its own codes for a call that is to be made again; the second is what user space is told. */
START_TEST(what_was_interrupted_goes_on)
{
    static const int codes[] = {-512, -EINTR, -513, -514};
    char byte;
    begin();
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct op op = receive(&byte);
        answer = codes[i];
        CHECK_OK(pirn_port_start(&port, &op, 1, INT64_MAX));
        pirn_port_wait(&port, &me, INT64_MAX);
        pirn_port_collect(&port, 0, &done);
        CHECK(done.head == NULL);
        CHECK_EQ(support_write(pair[1], "a", 1), 1);
        CHECK(await() == &op);
        CHECK_EQ(op.res, 1);
    }
    end();
}
END_TEST

/* The same of one that has been stopped: it has been interrupted by that. */
START_TEST(what_was_stopped_and_interrupted_was_stopped)
{
    static const int codes[] = {-512, -EINTR, -513, -514, -ECANCELED};
    struct port *p;
    char byte;
    begin();
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct op op = receive(&byte);
        answer = codes[i];
        CHECK_OK(pirn_port_start(&port, &op, 1, INT64_MAX));
        while (!pirn_port_has_completions(&port))
            pirn_port_wait(&port, &me, INT64_MAX);
        CHECK(!pirn_op_stop(&op, 1, -EBADF, &p) && p == &port);
        CHECK(await() == &op);
        CHECK_EQ(op.res, -EBADF);
    }
    end();
}
END_TEST

/* That it is connected is news to who has begun it, and a mistake of who was so before. */
START_TEST(a_connect_that_has_come_to_pass_meanwhile)
{
    begin();
    for (int begun = 0; begun < 2; begun++) {
        struct op op = {.kind = OP_CONNECT};
        atomic_init(&op.fd, pair[0]);
        CHECK_OK(pirn_port_start(&port, &op, 1, INT64_MAX));
        answer = -EINPROGRESS;
        while (begun && op.polling != OP_POLLED) {
            pirn_port_wait(&port, &me, INT64_MAX);
            pirn_port_collect(&port, 0, &done);
        }
        answer = -EISCONN;
        CHECK(await() == &op);
        CHECK_EQ(op.res, begun ? 0 : -EISCONN);
    }
    end();
}
END_TEST

SUPPORT_MAIN("io/port", what_is_late_before_it_was_submitted_has_one_try,
             the_first_stop_is_the_reason, of_many_that_are_late_the_last_is_cancelled_first,
             what_is_stopped_in_the_queue_was_never_there, a_stop_between_the_poll_and_the_request,
             a_stop_that_finds_no_request_comes_again, what_was_interrupted_goes_on,
             what_was_stopped_and_interrupted_was_stopped,
             a_connect_that_has_come_to_pass_meanwhile)
