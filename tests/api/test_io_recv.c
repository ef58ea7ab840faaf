/* Receiving in detail: flags, partial reads, resets, datagrams, messages with descriptors. */
#include "tests/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/uio.h>

static void flags(void)
{
    for (int kind = 0; kind < 2; kind++) {
        int fds[2];
        char buf[16] = {0};
        (kind ? support_pair : support_tcp_pair)(fds);
        CHECK_EQ(pirn_recv(fds[0], buf, 4, MSG_DONTWAIT, PIRN_NEVER), -EAGAIN);
        CHECK_EQ(pirn_send(fds[1], "hello", 5, 0, PIRN_NEVER), 5);
        for (int i = 0; i < 3; i++) { /* peeking takes nothing */
            CHECK_EQ(pirn_recv(fds[0], buf, 4, MSG_PEEK, PIRN_NEVER), 4);
            CHECK(memcmp(buf, "hell", 4) == 0);
        }
        CHECK_EQ(pirn_recv(fds[0], buf, 2, 0, PIRN_NEVER), 2); /* the rest stays */
        CHECK_EQ(pirn_recv(fds[0], buf, sizeof(buf), 0, PIRN_NEVER), 3);
        CHECK(memcmp(buf, "llo", 3) == 0);
        CHECK_EQ(pirn_send(fds[1], "end", 3, MSG_MORE, PIRN_NEVER), 3);
        CHECK_OK(shutdown(fds[1], SHUT_WR)); /* what was sent before comes first */
        CHECK_EQ(pirn_recv(fds[0], buf, sizeof(buf), 0, PIRN_NEVER), 3);
        CHECK_EQ(pirn_recv(fds[0], buf, sizeof(buf), 0, PIRN_NEVER), 0);
        CHECK_EQ(pirn_send(fds[0], "back", 4, 0, PIRN_NEVER), 4); /* half closed only */
        CHECK_EQ(pirn_recv(fds[1], buf, sizeof(buf), 0, PIRN_NEVER), 4);
        CHECK_OK(pirn_close(fds[0]));
        CHECK_OK(pirn_close(fds[1]));
    }
}

START_TEST(recv_flags)
{
    support_everywhere(flags);
}
END_TEST

/* ---- MSG_WAITALL ------------------------------------------------------------------------- */

struct pieces {
    int fd, count;
    bool end;
};

static void *send_pieces(void *arg)
{
    struct pieces *p = arg;
    char piece[100];
    for (int i = 0; i < p->count; i++) {
        support_pause_ms(1);
        memset(piece, 'a' + i, sizeof(piece));
        support_send_all(p->fd, piece, sizeof(piece));
    }
    if (p->end)
        shutdown(p->fd, SHUT_WR);
    return NULL;
}

static void wait_all(void)
{
    for (int kind = 0; kind < 2; kind++) {
        for (int end = 0; end < 2; end++) {
            int fds[2];
            char buf[512];
            (kind ? support_pair : support_tcp_pair)(fds);
            struct pieces p = {fds[1], 3, end};
            pthread_t thread = support_thread(send_pieces, &p);
            ssize_t n = pirn_recv(fds[0], buf, end ? 400 : 300, MSG_WAITALL, PIRN_NEVER);
            CHECK_EQ(n, 300); /* the end came first, or all of it */
            for (int i = 0; i < 300; i++)
                CHECK_EQ(buf[i], 'a' + i / 100);
            support_thread_join(thread);
            if (!end) { /* a deadline half-way: no byte may vanish */
                CHECK_EQ(pirn_send(fds[1], buf, 100, 0, PIRN_NEVER), 100);
                support_poll(fds[0], POLLIN);
                n = pirn_recv(fds[0], buf, 300, MSG_WAITALL, pirn_after_ms(3));
                size_t left = support_drain(fds[0]);
                CHECK((n == 100 && left == 0) || (n == -ETIMEDOUT && left == 100));
            }
            CHECK_OK(pirn_close(fds[0]));
            CHECK_OK(pirn_close(fds[1]));
        }
    }
}

START_TEST(wait_for_all)
{
    support_everywhere(wait_all);
}
END_TEST

/* ---- Sizes ------------------------------------------------------------------------------- */

static void *send_five(void *arg)
{
    support_pause_ms(2);
    support_send_all(*(int *)arg, "five!", 5);
    return NULL;
}

/* A buffer of 4 GiB is not one of 0 bytes, whether the data is there or comes later. */
static void huge(void)
{
    size_t n = (size_t)4 << 30;
    char *buf = mmap(NULL, n + 4096, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(buf != MAP_FAILED);
    int fds[2];
    support_pair(fds);
    for (int how = 0; how < 3; how++) {
        for (int later = 0; later < 2; later++) {
            pthread_t thread = support_thread(send_five, &fds[1]);
            if (!later)
                support_thread_join(thread);
            struct iovec vec = {buf, n};
            struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
            ssize_t got = how == 0   ? pirn_recv(fds[0], buf, n, 0, PIRN_NEVER)
                          : how == 1 ? pirn_read(fds[0], buf, n, PIRN_NEVER)
                                     : pirn_recvmsg(fds[0], &msg, 0, PIRN_NEVER);
            CHECK_EQ(got, 5);
            if (later)
                support_thread_join(thread);
        }
    }
    CHECK_OK(pirn_close(fds[0]));
    CHECK_OK(pirn_close(fds[1]));
    CHECK_OK(munmap(buf, n + 4096));
}

START_TEST(huge_sizes)
{
    support_everywhere(huge);
}
END_TEST

/* ---- A reset ----------------------------------------------------------------------------- */

static void *reset(void *arg)
{
    support_pause_ms(1);
    struct linger hard = {1, 0};
    CHECK_OK(setsockopt(*(int *)arg, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
    close(*(int *)arg);
    return NULL;
}

static void resets(void)
{
    int fds[2];
    char c;
    support_tcp_pair(fds);
    pthread_t thread = support_thread(reset, &fds[1]);
    CHECK_EQ(pirn_recv(fds[0], &c, 1, 0, PIRN_NEVER), -ECONNRESET);
    support_thread_join(thread);
    CHECK_OK(pirn_close(fds[0]));
}

START_TEST(reset_by_peer)
{
    support_everywhere(resets);
}
END_TEST

/* ---- Datagrams --------------------------------------------------------------------------- */

static int udp(struct sockaddr_in *ret_addr)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(*ret_addr);
    *ret_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CHECK_OK(bind(fd, (struct sockaddr *)ret_addr, len));
    CHECK_OK(getsockname(fd, (struct sockaddr *)ret_addr, &len));
    return fd;
}

static void datagrams(void)
{
    struct sockaddr_in addrs[2], from;
    char buf[32];
    int fds[2] = {udp(&addrs[0]), udp(&addrs[1])};
    CHECK_OK(pirn_connect(fds[0], (struct sockaddr *)&addrs[1], sizeof(addrs[1]), PIRN_NEVER));
    CHECK_EQ(pirn_send(fds[0], "one", 3, 0, PIRN_NEVER), 3);
    CHECK_EQ(pirn_send(fds[0], "", 0, 0, PIRN_NEVER), 0); /* an empty one is one */
    CHECK_EQ(pirn_send(fds[0], "three", 5, 0, PIRN_NEVER), 5);
    CHECK_EQ(pirn_recv(fds[1], buf, sizeof(buf), 0, PIRN_NEVER), 3); /* boundaries are kept */
    CHECK_EQ(pirn_recv(fds[1], buf, sizeof(buf), 0, PIRN_NEVER), 0);
    struct iovec vec = {buf, 2};
    struct msghdr msg = {
        .msg_iov = &vec, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof(from)};
    CHECK_EQ(pirn_recvmsg(fds[1], &msg, 0, PIRN_NEVER), 2);
    CHECK(msg.msg_flags & MSG_TRUNC); /* cut, and said so */
    CHECK_EQ(from.sin_port, addrs[0].sin_port);
    CHECK_EQ(pirn_recv(fds[1], buf, sizeof(buf), 0, pirn_after_ms(2)), -ETIMEDOUT);
    msg.msg_name = &addrs[0];
    CHECK_EQ(pirn_sendmsg(fds[1], &msg, 0, PIRN_NEVER), 2); /* to an address */
    CHECK_EQ(pirn_recv(fds[0], buf, sizeof(buf), 0, PIRN_NEVER), 2);
    CHECK_EQ(pirn_send(fds[0], buf, 1 << 20, 0, PIRN_NEVER), -EMSGSIZE);
    CHECK_OK(pirn_close(fds[1]));
    CHECK_EQ(pirn_send(fds[0], "x", 1, 0, PIRN_NEVER), 1); /* to nobody */
    CHECK_EQ(pirn_recv(fds[0], buf, sizeof(buf), 0, PIRN_NEVER), -ECONNREFUSED);
    CHECK_OK(pirn_close(fds[0]));
}

START_TEST(datagram_sockets)
{
    support_everywhere(datagrams);
}
END_TEST

/* ---- Messages with descriptors ----------------------------------------------------------- */

static void *pass_descriptor(void *arg)
{
    int *fds = arg; /* through 0, the second */
    char text[] = "with fd";
    struct iovec vec[2] = {{text, 4}, {text + 4, 3}};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr msg = {.msg_iov = vec,
                         .msg_iovlen = 2,
                         .msg_control = control.space,
                         .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fds[1], sizeof(int));
    support_pause_ms(1);
    CHECK_EQ(pirn_sendmsg(fds[0], &msg, 0, PIRN_NEVER), 7);
    return NULL;
}

static void descriptors(void)
{
    int fds[2], ends[2], got = -1;
    char buf[16], c = 'y';
    support_pair(fds);
    support_pipe(ends);
    int passed[2] = {fds[1], ends[1]};
    pthread_t thread = support_thread(pass_descriptor, passed);
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec vec = {buf, sizeof(buf)};
    struct msghdr msg = {.msg_iov = &vec,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof(control.space)};
    CHECK_EQ(pirn_recvmsg(fds[0], &msg, MSG_CMSG_CLOEXEC, PIRN_NEVER), 7);
    CHECK(memcmp(buf, "with fd", 7) == 0);
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
    CHECK(header && header->cmsg_type == SCM_RIGHTS);
    memcpy(&got, CMSG_DATA(header), sizeof(got));
    support_thread_join(thread);
    CHECK_EQ(pirn_write(got, &c, 1, PIRN_NEVER), 1);
    CHECK_EQ(pirn_read(ends[0], buf, 1, PIRN_NEVER), 1);
    int all[] = {got, ends[0], ends[1], fds[0], fds[1]};
    for (int i = 0; i < 5; i++)
        CHECK_OK(pirn_close(all[i]));
}

START_TEST(descriptor_passing)
{
    support_everywhere(descriptors);
}
END_TEST

SUPPORT_MAIN("io_recv", recv_flags, wait_for_all, huge_sizes, reset_by_peer, datagram_sockets,
             descriptor_passing)
