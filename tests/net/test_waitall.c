/*
 * MSG_WAITALL: all of a stream's bytes, however they come, and no more than one datagram.
 */
#include "tests/support.h"

#include <string.h>

static const char text[] = "one two three";

enum {
    LENGTH = sizeof(text) - 1,
    PART = 5
};

static void *send_slowly(void *arg)
{
    int fd = *(int *)arg;
    for (int i = 0; i < LENGTH; i += PART) {
        support_pause_ms(2);
        support_send_all(fd, text + i, i + PART < LENGTH ? PART : (size_t)(LENGTH - i));
    }
    return NULL;
}

static ssize_t receive(int fd, bool as_msg, char *buf, size_t n, int flags, pirn_time deadline)
{
    struct iovec iov[3] = {{buf, 3}, {buf + 3, 0}, {buf + 3, n - 3}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
    if (!as_msg)
        return pirn_recv(fd, buf, n, flags, deadline);
    ssize_t got = pirn_recvmsg(fd, &msg, flags, deadline);
    CHECK_EQ(iov[0].iov_len, 3); /* the caller's */
    return got;
}

static void slowly(int pair[2], bool as_msg)
{
    char buf[LENGTH + 4] = "";
    pthread_t thread = support_thread(send_slowly, &pair[1]);
    CHECK_EQ(receive(pair[0], as_msg, buf, LENGTH, MSG_WAITALL, PIRN_NEVER), LENGTH);
    CHECK(memcmp(buf, text, LENGTH) == 0);
    support_thread_join(thread);

    support_send_all(pair[1], text, PART); /* some, and then the deadline */
    CHECK_EQ(receive(pair[0], as_msg, buf, LENGTH, MSG_WAITALL, pirn_after_ms(3)), PART);
    CHECK_EQ(receive(pair[0], as_msg, buf, LENGTH, MSG_WAITALL, pirn_after_ms(3)), -ETIMEDOUT);
    support_send_all(pair[1], text, PART); /* some, and then the end */
    CHECK_OK(shutdown(pair[1], SHUT_WR));
    CHECK_EQ(receive(pair[0], as_msg, buf, LENGTH, MSG_WAITALL, PIRN_NEVER), PART);
    CHECK_EQ(receive(pair[0], as_msg, buf, LENGTH, MSG_WAITALL, PIRN_NEVER), 0);
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));
}

static void streams(void)
{
    int pair[2];
    for (int as_msg = 0; as_msg < 2; as_msg++) {
        support_pair(pair);
        slowly(pair, as_msg != 0);
        support_tcp_pair(pair);
        slowly(pair, as_msg != 0);
    }
}

START_TEST(all_of_a_stream)
{
    support_everywhere(streams);
}
END_TEST

static void datagrams(void)
{
    char buf[LENGTH];
    int pair[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
    for (int as_msg = 0; as_msg < 2; as_msg++) {
        CHECK_EQ(send(pair[1], "first", 5, MSG_DONTWAIT), 5);
        CHECK_EQ(send(pair[1], "second", 6, MSG_DONTWAIT), 6);
        CHECK_EQ(receive(pair[0], as_msg != 0, buf, LENGTH, MSG_WAITALL, PIRN_NEVER), 5);
        CHECK_EQ(receive(pair[0], as_msg != 0, buf, LENGTH, MSG_WAITALL, PIRN_NEVER), 6);
        CHECK(memcmp(buf, "second", 6) == 0);
    }
    CHECK_OK(pirn_close(pair[0]));
    CHECK_OK(pirn_close(pair[1]));
}

START_TEST(one_datagram)
{
    support_everywhere(datagrams);
}
END_TEST

/* Descriptors that come with the bytes are not lost, whichever piece they come with. */
static void descriptors(void)
{
    union {
        struct cmsghdr head;
        char room[4 * CMSG_SPACE(sizeof(int))];
    } control;
    char buf[2 * PART];
    int pair[2], n = 0;
    support_pair(pair);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pirn_send_fds(pair[1], text + i * PART, PART, &pair[1], 1, PIRN_NEVER), PART);
    struct iovec iov = {buf, sizeof(buf)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    msg.msg_control = &control;
    msg.msg_controllen = sizeof(control);
    CHECK_EQ(pirn_recvmsg(pair[0], &msg, MSG_WAITALL | MSG_CMSG_CLOEXEC, PIRN_NEVER), 2 * PART);
    CHECK_EQ(msg.msg_flags & MSG_CTRUNC, 0);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c), n++) {
        int fd;
        CHECK_EQ(c->cmsg_type, SCM_RIGHTS);
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
        CHECK_OK(close(fd));
    }
    CHECK_EQ(n, 2);
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
}

START_TEST(descriptors_behind_each_other)
{
    descriptors(); /* of a plain thread; the ring takes those that come first */
}
END_TEST

SUPPORT_MAIN("waitall", all_of_a_stream, one_datagram, descriptors_behind_each_other)
