/*
 * For test_memcheck.sh: everything that the kernel writes through a ring, into memory that nobody
 * has written before and is then looked at. With an argument, memory that nobody writes at all.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "tests/support.h"

enum {
    SIZE = 64
};

static pirn_task *reader;
static int from, into;

static void *fresh(size_t n)
{
    void *at = malloc(n);
    CHECK(at);
    return at;
}

/* A branch for each byte. */
static void look(const void *at, size_t n)
{
    const unsigned char *bytes = at;
    int others = 0;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != 'x')
            others++;
    }
    CHECK_EQ(others, 0);
}

static int sends_late(void *arg)
{
    (void)arg;
    char message[SIZE];
    memset(message, 'x', sizeof(message));
    support_until_waiting(reader);
    return pirn_write(into, message, sizeof(message), PIRN_NEVER) == sizeof(message) ? 0 : -EIO;
}

static void by_read(void *bytes)
{
    CHECK_EQ(pirn_read(from, bytes, SIZE, PIRN_NEVER), SIZE);
}

static void by_recv(void *bytes)
{
    CHECK_EQ(pirn_recv(from, bytes, SIZE, 0, PIRN_NEVER), SIZE);
}

static void by_readv(void *bytes)
{
    struct iovec parts[2] = {{bytes, 5}, {(char *)bytes + 5, SIZE}};
    CHECK_EQ(pirn_readv(from, parts, 2, PIRN_NEVER), SIZE);
}

static void by_recvmsg(void *bytes)
{
    struct iovec parts[2] = {{bytes, 5}, {(char *)bytes + 5, SIZE - 5}};
    char *control = fresh(SIZE);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = control};
    message.msg_controllen = SIZE;
    CHECK_EQ(pirn_recvmsg(from, &message, 0, PIRN_NEVER), SIZE);
    CHECK_EQ(message.msg_controllen, 0);
    free(control);
}

static void late(bool socket, void (*read_into)(void *bytes))
{
    int pair[2];
    (socket ? support_pair : support_pipe)(pair);
    from = pair[0];
    into = pair[1];
    void *bytes = fresh((size_t)2 * SIZE);
    pirn_task *sender = support_spawn(sends_late, NULL);
    read_into(bytes);
    look(bytes, SIZE);
    CHECK_OK(support_join(sender));
    free(bytes);
    close(pair[0]);
    close(pair[1]);
}

static int connects_late(void *arg)
{
    support_until_waiting(reader);
    int fd = support_socket();
    CHECK_OK(pirn_connect(fd, arg, sizeof(struct sockaddr_in), PIRN_NEVER));
    return fd;
}

static void by_accept(void)
{
    struct sockaddr_in at, *peer = fresh(sizeof(*peer));
    socklen_t *len = fresh(sizeof(*len));
    *len = sizeof(*peer);
    int listener = support_listen(&at, 1);
    pirn_task *client = support_spawn(connects_late, &at);
    int fd = pirn_accept(listener, (struct sockaddr *)peer, len, 0, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_EQ(*len, sizeof(*peer));
    CHECK(peer->sin_port != 0 && peer->sin_addr.s_addr == at.sin_addr.s_addr);
    close(support_join(client));
    close(fd);
    close(listener);
    free(len);
    free(peer);
}

static void by_stat(void)
{
    struct stat *stat = fresh(sizeof(*stat));
    CHECK_OK(pirn_fstat(STDERR_FILENO, stat, PIRN_NEVER));
    CHECK(stat->st_mode != 0 && stat->st_ino != 0);
    free(stat);
}

static int forty_two(void *arg)
{
    (void)arg;
    return 42;
}

static int everything(void *arg)
{
    (void)arg;
    reader = pirn_current();
    late(true, by_recv);
    late(true, by_recvmsg);
    late(true, by_read);
    late(false, by_read);
    late(false, by_readv);
    by_accept();
    by_stat();

    int pair[2], status, *never = fresh(sizeof(*never));
    support_pair(pair);
    CHECK_EQ(pirn_recv(pair[0], never, 1, 0, pirn_after_ms(1)), -ETIMEDOUT);
    free(never);
    close(pair[0]);
    close(pair[1]);
    CHECK_OK(pirn_blocking(forty_two, NULL, &status, PIRN_NEVER));
    CHECK_EQ(status, 42);
    return 0;
}

static int nothing_written(void *arg)
{
    (void)arg;
    unsigned char bytes[SIZE], *at = bytes;
    __asm__ volatile("" : "+r"(at) : : "memory"); /* as far as the compiler knows somebody did */
    look(at, SIZE);
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, argc > 1 ? nothing_written : everything, NULL));
    return 0;
}
