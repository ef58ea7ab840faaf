/* Sockets and pipes for the tests, by plain system calls; see tests/support.h. */
#include "tests/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

/* ---- Plain calls that may block ---- */

ssize_t support_read(int fd, void *buf, size_t n)
{
    support_blocking_begin();
    ssize_t rc = read(fd, buf, n);
    support_blocking_end();
    return rc;
}

ssize_t support_write(int fd, const void *buf, size_t n)
{
    support_blocking_begin();
    ssize_t rc = write(fd, buf, n);
    support_blocking_end();
    return rc;
}

int support_connect(int fd, const void *addr, size_t len)
{
    support_blocking_begin();
    int rc = connect(fd, addr, (socklen_t)len);
    support_blocking_end();
    return rc;
}

int support_poll(int fd, short events)
{
    struct pollfd ready = {fd, events, 0};
    int rc;
    support_blocking_begin();
    while ((rc = poll(&ready, 1, -1)) < 0 && errno == EINTR) {}
    support_blocking_end();
    CHECK_EQ(rc, 1);
    return ready.revents;
}

/* ---- Descriptors ---- */

void support_pair(int ret_pair[2])
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_pair));
}

void support_pipe(int ret_pipe[2])
{
    CHECK_OK(pipe2(ret_pipe, O_CLOEXEC));
}

int support_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_GE(fd, 0);
    return fd;
}

int support_listen(struct sockaddr_in *ret_addr, int backlog)
{
    int fd = support_socket();
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    CHECK_OK(bind(fd, (struct sockaddr *)&addr, len));
    CHECK_OK(listen(fd, backlog));
    CHECK_OK(getsockname(fd, (struct sockaddr *)&addr, &len));
    *ret_addr = addr;
    return fd;
}

void support_tcp_pair(int ret_pair[2])
{
    struct sockaddr_in addr;
    int listener = support_listen(&addr, 1);
    ret_pair[0] = support_socket();
    CHECK_OK(support_connect(ret_pair[0], &addr, sizeof(addr)));
    support_blocking_begin();
    ret_pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    support_blocking_end();
    CHECK_GE(ret_pair[1], 0);
    close(listener);
}

void support_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    CHECK_GE(flags, 0);
    CHECK_OK(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

void support_send_all(int fd, const void *buf, size_t n)
{
    const char *p = buf;
    while (n > 0) {
        ssize_t sent = support_write(fd, p, n);
        CHECK(sent > 0);
        p += sent;
        n -= (size_t)sent;
    }
}

/* TCP: has it sent what the other end has not acknowledged yet? Then there will be room once
 * more. */
static bool is_on_its_way(int fd)
{
    int queued, unsent;
    if (ioctl(fd, SIOCOUTQNSD, &unsent) != 0 || ioctl(fd, SIOCOUTQ, &queued) != 0)
        return false; /* no TCP */
    if (queued == unsent)
        return false;
    support_pause_ms(1);
    return true;
}

size_t support_fill(int fd)
{
    static const char zeroes[4096];
    size_t total = 0;
    int flags = fcntl(fd, F_GETFL);
    support_nonblock(fd, true);
    do {
        for (size_t n = sizeof(zeroes); n > 0; n /= 2) { /* the last bytes one by one */
            ssize_t got;
            while ((got = write(fd, zeroes, n)) > 0)
                total += (size_t)got;
        }
    } while (is_on_its_way(fd));
    CHECK_OK(fcntl(fd, F_SETFL, flags));
    return total;
}

size_t support_drain(int fd)
{
    char buf[4096];
    size_t total = 0;
    int flags = fcntl(fd, F_GETFL);
    support_nonblock(fd, true);
    for (ssize_t got; (got = read(fd, buf, sizeof(buf))) > 0;)
        total += (size_t)got;
    CHECK_OK(fcntl(fd, F_SETFL, flags));
    return total;
}
