/* Each call with a closed descriptor, a wrong kind, a wrong size, a wrong address. */
#include "tests/support.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/un.h>

static char buf[64];

/* ---- Every call, by descriptor ----------------------------------------------------------- */

static ssize_t c_accept(int fd)
{
    return pirn_accept(fd, NULL, NULL, 0, PIRN_NEVER);
}

static ssize_t c_connect(int fd)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return pirn_connect(fd, (struct sockaddr *)&addr, sizeof(addr), PIRN_NEVER);
}

static ssize_t c_recv(int fd)
{
    return pirn_recv(fd, buf, 1, 0, PIRN_NEVER);
}

static ssize_t c_send(int fd)
{
    return pirn_send(fd, buf, 1, 0, PIRN_NEVER);
}

static ssize_t c_recvmsg(int fd)
{
    struct iovec vec = {buf, 1};
    struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
    return pirn_recvmsg(fd, &msg, 0, PIRN_NEVER);
}

static ssize_t c_sendmsg(int fd)
{
    struct iovec vec = {buf, 1};
    struct msghdr msg = {.msg_iov = &vec, .msg_iovlen = 1};
    return pirn_sendmsg(fd, &msg, 0, PIRN_NEVER);
}

static ssize_t c_read(int fd)
{
    return pirn_read(fd, buf, 1, PIRN_NEVER);
}

static ssize_t c_write(int fd)
{
    return pirn_write(fd, buf, 1, PIRN_NEVER);
}

static ssize_t c_pread(int fd)
{
    return pirn_pread(fd, buf, 1, 0, PIRN_NEVER);
}

static ssize_t c_pwrite(int fd)
{
    return pirn_pwrite(fd, buf, 1, 0, PIRN_NEVER);
}

static ssize_t c_openat(int fd)
{
    return pirn_openat(fd, "relative", O_RDONLY, 0, PIRN_NEVER);
}

static ssize_t c_fsync(int fd)
{
    return pirn_fsync(fd, PIRN_NEVER);
}

static ssize_t c_poll(int fd)
{
    return pirn_poll(fd, POLLIN, PIRN_NEVER);
}

static ssize_t c_close(int fd)
{
    return pirn_close(fd);
}

static const struct {
    const char *name;
    ssize_t (*call)(int fd);
    int on_file; /* on a regular file: that error, or 0 where it is fine */
} calls[] = {
    {"accept", c_accept, -ENOTSOCK},
    {"connect", c_connect, -ENOTSOCK},
    {"recv", c_recv, -ENOTSOCK},
    {"send", c_send, -ENOTSOCK},
    {"recvmsg", c_recvmsg, -ENOTSOCK},
    {"sendmsg", c_sendmsg, -ENOTSOCK},
    {"read", c_read, 0},
    {"write", c_write, 0},
    {"pread", c_pread, 0},
    {"pwrite", c_pwrite, 0},
    {"fsync", c_fsync, 0},
    {"poll", c_poll, 0},
    {"openat", c_openat, -ENOTDIR},
    {"close", c_close, 0},
};

static void expect(const char *name, ssize_t got, int wanted)
{
    if (wanted ? got != wanted : got < 0)
        support_fail(__FILE__, __LINE__, __func__, "%s: %zd, not %d", name, got, wanted);
}

static void wrong_descriptors(void)
{
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int closed = fcntl(low, F_DUPFD_CLOEXEC, 500); /* a number nobody is given meanwhile */
    CHECK_OK(pirn_close(low));
    CHECK_OK(pirn_close(closed));
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        expect(calls[i].name, calls[i].call(-1), -EBADF);
        expect(calls[i].name, calls[i].call(closed), -EBADF);
        expect(calls[i].name, calls[i].call(1 << 30), -EBADF);
        int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        CHECK_GE(file, 0);
        expect(calls[i].name, calls[i].call(file), calls[i].on_file);
        if (calls[i].call != c_close)
            close(file);
    }
}

START_TEST(descriptors)
{
    support_census before = support_count();
    wrong_descriptors();
    support_everywhere(wrong_descriptors);
    support_no_more_than(before);
}
END_TEST

/* ---- Sizes, addresses -------------------------------------------------------------------- */

/* A negative number that became a size_t. */
static void negative_sizes(void)
{
    size_t sizes[] = {(size_t)-1, (size_t)-100, (size_t)SSIZE_MAX + 1};
    int fds[2], file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    support_pair(fds);
    support_send_all(fds[1], "data", 4);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pirn_recv(fds[0], buf, sizes[i], 0, PIRN_NEVER), -EINVAL);
        CHECK_EQ(pirn_send(fds[0], buf, sizes[i], 0, PIRN_NEVER), -EINVAL);
        CHECK_EQ(pirn_read(fds[0], buf, sizes[i], PIRN_NEVER), -EINVAL);
        CHECK_EQ(pirn_write(fds[0], buf, sizes[i], PIRN_NEVER), -EINVAL);
        CHECK_EQ(pirn_pread(file, buf, sizes[i], 0, PIRN_NEVER), -EINVAL);
        CHECK_EQ(pirn_pwrite(file, buf, sizes[i], 0, PIRN_NEVER), -EINVAL);
    }
    CHECK_EQ(support_drain(fds[0]), 4); /* nothing was taken, nothing sent */
    CHECK_EQ(support_drain(fds[1]), 0);
    close(fds[0]);
    close(fds[1]);
    close(file);
}

/* Nothing to read or write is done at once. */
static void empty(void)
{
    int fds[2], file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    support_tcp_pair(fds);
    CHECK_EQ(pirn_send(fds[0], buf, 0, 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_send(fds[0], NULL, 0, 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_write(fds[0], buf, 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_read(file, buf, 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_pread(file, buf, 0, 0, PIRN_NEVER), 0);
    CHECK_EQ(pirn_pwrite(file, buf, 0, 0, PIRN_NEVER), 0);
    CHECK_EQ(support_drain(fds[1]), 0);
    close(fds[0]);
    close(fds[1]);
    close(file);
}

static void wrong_addresses(void)
{
    int fds[2], file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    void *nowhere = (void *)8;
    support_pair(fds);
    support_send_all(fds[1], "data", 4);
    CHECK_EQ(pirn_send(fds[0], nowhere, 10, 0, PIRN_NEVER), -EFAULT);
    CHECK_EQ(pirn_write(file, nowhere, 10, PIRN_NEVER), -EFAULT);
    CHECK_EQ(pirn_recv(fds[0], nowhere, 10, 0, PIRN_NEVER), -EFAULT);
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(pirn_connect(fd, (struct sockaddr *)&addr, sizeof(addr), PIRN_NEVER), -ENOENT);
    CHECK_EQ(pirn_connect(fd, (struct sockaddr *)&addr, 1, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_accept(fd, NULL, NULL, 0, PIRN_NEVER), -EINVAL); /* not listening */
    CHECK_EQ(pirn_recv(fd, buf, 1, 0, PIRN_NEVER), -EINVAL);       /* not connected */
    CHECK_EQ(pirn_send(fd, buf, 1, 0, PIRN_NEVER), -ENOTCONN);
    close(fd);
    fd = support_socket();
    CHECK_EQ(pirn_recv(fd, buf, 1, 0, PIRN_NEVER), -ENOTCONN);
    CHECK_EQ(pirn_send(fd, buf, 1, 0, PIRN_NEVER), -EPIPE);
    close(fd);
    close(fds[0]);
    close(fds[1]);
    close(file);
}

START_TEST(sizes)
{
    support_everywhere(negative_sizes);
    support_everywhere(empty);
}
END_TEST

START_TEST(addresses)
{
    support_everywhere(wrong_addresses);
}
END_TEST

SUPPORT_MAIN("io_error", descriptors, sizes, addresses)
