/* wraps pirn_ring_prepare */
/* wraps pirn_sys_sendmsg */
/* wraps pirn_sys_recvmsg */
/*
 * Peers that have shut down their way of sending and still are sent to; and other waits that a
 * poll ends at once, or says nothing of. Nobody waits where others could not, and nobody turns in
 * circles.
 */
#include "tests/support.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/un.h>

enum {
    BUFFER = 64 * 1024, /* a socket's */
    MUCH = 1024 * 1024, /* more than one and its peer take */
    SLOW = 12           /* more than there are helper threads in the kernel */
};

static char much[MUCH];

static void open_pair(bool unix_socket, int pair[2])
{
    int room = BUFFER;
    if (unix_socket)
        support_pair(pair);
    else
        support_tcp_pair(pair);
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)));
}

/* ---- Poll ------------------------------------------------------------------------------------ */

/* Of a socket that is full. TCP may find room a moment later, and it is full again. */
static int poll_full(int fd, int64_t ms)
{
    int rc;
    do {
        rc = pirn_poll(fd, POLLOUT, pirn_after_ms(ms));
    } while (rc == POLLOUT && support_fill(fd) > 0);
    return rc;
}

static void poll_each(void)
{
    for (int unix_socket = 0; unix_socket < 2; unix_socket++) {
        int pair[2];
        open_pair(unix_socket != 0, pair);
        CHECK_OK(shutdown(pair[1], SHUT_WR));
        CHECK_EQ(pirn_poll(pair[0], POLLRDHUP, PIRN_NEVER), POLLRDHUP);
        CHECK_EQ(pirn_poll(pair[0], POLLOUT, PIRN_NEVER), POLLOUT);
        support_fill(pair[0]);
        CHECK_EQ(poll_full(pair[0], 5), -ETIMEDOUT);
        CHECK_EQ(poll_full(pair[0], 0), -ETIMEDOUT);
        CHECK_EQ(pirn_poll(pair[0], 0, pirn_after_ms(5)), -ETIMEDOUT);
        CHECK_EQ(pirn_poll(pair[0], POLLIN, PIRN_NEVER), POLLIN);
        CHECK_OK(close(pair[1]));
        CHECK((pirn_poll(pair[0], POLLOUT, PIRN_NEVER) & (POLLERR | POLLHUP)) != 0);
        CHECK_OK(close(pair[0]));
    }
}

START_TEST(poll_waits_for_what_was_asked_for)
{
    support_census before = support_count();
    support_everywhere(poll_each);
    support_no_more_than(before);
}
END_TEST

static int poll_out(void *arg)
{
    return pirn_poll(*(int *)arg, POLLOUT, PIRN_NEVER);
}

/* Room, a cancel and a close end it. */
static int poll_ends(void *arg)
{
    int pair[2];
    (void)arg;
    for (int how = 0; how < 3; how++) {
        support_pair(pair);
        CHECK_OK(shutdown(pair[1], SHUT_WR));
        support_fill(pair[0]);
        pirn_task *task = support_spawn(poll_out, &pair[0]);
        support_until_waiting(task);
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
        if (how == 0) {
            support_drain(pair[1]);
            CHECK_EQ(support_join(task), POLLOUT);
        } else if (how == 1) {
            CHECK_OK(pirn_cancel(task, NULL));
            CHECK_EQ(support_join(task), -ECANCELED);
        } else {
            CHECK_OK(pirn_close(pair[0]));
            CHECK_EQ(support_join(task), -EBADF);
        }
        if (how != 2)
            CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));
    }
    return 0;
}

START_TEST(room_a_cancel_and_a_close_end_it)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    for (int i = 0; i < support_rounds(20); i++)
        CHECK_OK(support_run(w, poll_ends, NULL));
    support_no_more_than(before);
}
END_TEST

/* ---- Many that do not read ------------------------------------------------------------------- */

enum way {
    SEND,
    SENDMSG,
    WRITE,
    STREAM,
    WAYS
};

struct sender {
    int pair[2];
    enum way way;
};

static int send_much(void *arg)
{
    struct sender *s = arg;
    size_t done = 0;
    if (s->way == STREAM) {
        pirn_stream_config config = PIRN_STREAM_CONFIG_INIT;
        pirn_stream *stream;
        config.flags = PIRN_STREAM_KEEP_FD;
        CHECK_OK(pirn_stream_new(&stream, s->pair[0], &config));
        CHECK_EQ(pirn_stream_write(stream, much, MUCH), MUCH);
        int rc = pirn_stream_flush(stream, PIRN_NEVER);
        pirn_stream_abort(stream);
        pirn_stream_release(stream);
        return rc;
    }
    while (done < MUCH) {
        struct iovec iov = {much + done, MUCH - done};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n = s->way == SEND    ? pirn_send(s->pair[0], much, MUCH, 0, PIRN_NEVER)
                    : s->way == WRITE ? pirn_write(s->pair[0], much, MUCH, PIRN_NEVER)
                                      : pirn_sendmsg(s->pair[0], &msg, 0, PIRN_NEVER);
        if (n < 0)
            return (int)n;
        done += (size_t)n;
        if (s->way != SENDMSG)
            return done == MUCH ? 0 : -ECANCELED; /* it was cut short by a cancel */
    }
    return 0;
}

static int read_much(void *arg)
{
    const struct sender *s = arg;
    static char buf[65536];
    size_t got = 0;
    ssize_t n;
    while (got < MUCH && (n = pirn_recv(s->pair[1], buf, sizeof(buf), 0, PIRN_NEVER)) > 0)
        got += (size_t)n;
    return got == MUCH ? 0 : -EIO;
}

struct crowd {
    enum way way;
    bool late;     /* they shut down once they are being sent to */
    bool nonblock; /* on our side */
};

static int crowd_of_slow(void *arg)
{
    const struct crowd *c = arg;
    struct sender senders[SLOW + 1];
    pirn_task *tasks[SLOW + 1];
    for (int i = 0; i <= SLOW; i++) {
        senders[i].way = c->way;
        open_pair(i % 2 != 0, senders[i].pair);
        support_nonblock(senders[i].pair[0], c->nonblock);
        if (!c->late)
            CHECK_OK(shutdown(senders[i].pair[1], SHUT_WR));
    }
    for (int i = 0; i < SLOW; i++) {
        tasks[i] = support_spawn(send_much, &senders[i]);
        support_until_waiting(tasks[i]);
    }
    if (c->late)
        for (int i = 0; i <= SLOW; i++)
            CHECK_OK(shutdown(senders[i].pair[1], SHUT_WR));
    CHECK_OK(pirn_sleep(pirn_after_ms(2)));
    /* And one that reads. */
    tasks[SLOW] = support_spawn(send_much, &senders[SLOW]);
    pirn_task *reader = support_spawn(read_much, &senders[SLOW]);
    CHECK_OK(support_join(reader));
    CHECK_OK(support_join(tasks[SLOW]));
    for (int i = 0; i < SLOW; i++) {
        CHECK_OK(pirn_cancel(tasks[i], NULL));
        CHECK_EQ(support_join(tasks[i]), -ECANCELED);
    }
    for (int i = 0; i <= SLOW; i++)
        CHECK_OK(close(senders[i].pair[0]) | close(senders[i].pair[1]));
    return 0;
}

START_TEST(some_that_do_not_read_hold_nobody_up)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    for (enum way way = 0; way < WAYS; way++)
        for (int i = 0; i < 4; i++) {
            struct crowd c = {way, i % 2 != 0, i / 2 != 0};
            CHECK_OK(support_run(w, crowd_of_slow, &c));
        }
    support_no_more_than(before);
}
END_TEST

/* ---- Circles --------------------------------------------------------------------------------- */

static atomic_int turns; /* requests to the ring, attempts in place */

struct ring;
struct op;
bool __wrap_pirn_ring_prepare(struct ring *r, struct op *op);
bool __real_pirn_ring_prepare(struct ring *r, struct op *op);
ssize_t __wrap_pirn_sys_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_pirn_sys_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_pirn_sys_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __real_pirn_sys_recvmsg(int fd, struct msghdr *msg, int flags);

bool __wrap_pirn_ring_prepare(struct ring *r, struct op *op)
{
    atomic_fetch_add(&turns, 1);
    return __real_pirn_ring_prepare(r, op);
}

ssize_t __wrap_pirn_sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    atomic_fetch_add(&turns, 1);
    return __real_pirn_sys_sendmsg(fd, msg, flags);
}

ssize_t __wrap_pirn_sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
    atomic_fetch_add(&turns, 1);
    return __real_pirn_sys_recvmsg(fd, msg, flags);
}

/* A few each millisecond, at most: who sleeps one sleeps that long. */
static void check_turns(int64_t since)
{
    CHECK_LE(atomic_load(&turns), 20 + 6 * (support_now() - since) / (1000 * US));
}

static void no_circles(void)
{
    for (int nonblock = 0; nonblock < 2; nonblock++) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        socklen_t len = sizeof(to);
        char c = 'x';
        int pair[2];
        struct iovec iov = {&c, 1};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

        /* No room, from a peer that has said its last. */
        support_tcp_pair(pair);
        CHECK_OK(shutdown(pair[1], SHUT_WR));
        support_nonblock(pair[0], nonblock != 0);
        int64_t since;
        ssize_t sent;
        do { /* TCP may find room a moment later, and it is full again */
            support_fill(pair[0]);
            since = support_now();
            atomic_store(&turns, 0);
            sent = pirn_sendmsg(pair[0], &msg, 0, pirn_after_ms(50));
        } while (sent == 1);
        CHECK_EQ(sent, -ETIMEDOUT);
        check_turns(since);
        CHECK_OK(close(pair[0]) | close(pair[1]));

        /* No error in the queue, and bytes that nobody has read. */
        support_tcp_pair(pair);
        support_send_all(pair[1], "bytes", 5);
        CHECK_EQ(support_poll(pair[0], POLLIN), POLLIN);
        support_nonblock(pair[0], nonblock != 0);
        since = support_now();
        atomic_store(&turns, 0);
        CHECK_EQ(pirn_recvmsg(pair[0], &msg, MSG_ERRQUEUE, pirn_after_ms(50)), -ETIMEDOUT);
        CHECK_EQ(pirn_recv(pair[0], &c, 1, MSG_ERRQUEUE, pirn_after_ms(50)), -ETIMEDOUT);
        CHECK_EQ(pirn_recvmsg(pair[0], &msg, MSG_ERRQUEUE, PIRN_NOW), -ETIMEDOUT);
        check_turns(since);
        CHECK_OK(close(pair[0]) | close(pair[1]));

        /* A receiver that is named for each datagram, and has enough of them. */
        pair[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        pair[1] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK_OK(bind(pair[1], (struct sockaddr *)&to, sizeof(sa_family_t))); /* some name */
        CHECK_OK(getsockname(pair[1], (struct sockaddr *)&to, &len));
        while (sendto(pair[0], &c, 1, MSG_DONTWAIT, (struct sockaddr *)&to, len) == 1) {}
        support_nonblock(pair[0], nonblock != 0);
        msg.msg_name = &to;
        msg.msg_namelen = len;
        since = support_now();
        atomic_store(&turns, 0);
        CHECK_EQ(pirn_sendmsg(pair[0], &msg, 0, pirn_after_ms(50)), -ETIMEDOUT);
        check_turns(since);
        CHECK_EQ(recv(pair[1], &c, 1, MSG_DONTWAIT), 1);
        CHECK_EQ(pirn_sendmsg(pair[0], &msg, 0, PIRN_NEVER), 1);
        CHECK_OK(close(pair[0]) | close(pair[1]));
    }
}

START_TEST(nobody_turns_in_circles)
{
    support_everywhere(no_circles);
}
END_TEST

SUPPORT_MAIN("net_half_closed", poll_waits_for_what_was_asked_for, room_a_cancel_and_a_close_end_it,
             some_that_do_not_read_hold_nobody_up, nobody_turns_in_circles)
