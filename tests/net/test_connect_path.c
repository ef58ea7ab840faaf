/*
 * A Unix socket's path is looked up by no worker: connects of this program come here first, and one
 * to a path takes as long as a slow file system might.
 */
#include "sched/tsan.h"
#include "tests/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static atomic_int looking, found; /* a look-up has begun; may end */

void support_connects(const struct sockaddr *addr)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)addr;
    if (addr->sa_family == AF_UNIX && un->sun_path[0] != '\0') {
        atomic_store(&looking, 1);
        while (atomic_load(&found) == 0)
            usleep(100);
    }
}

#ifndef PIRN_TSAN /* there tests/support/tsan.c has one already */
int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    support_connects(addr);
    return (int)syscall(SYS_connect, fd, addr, len);
}
#endif

/* Runs on the one worker while the other coroutine connects. */
static int find(void *arg)
{
    (void)arg;
    while (atomic_load(&looking) == 0)
        CHECK_OK(pirn_yield());
    for (int i = 0; i < 10; i++)
        CHECK_OK(pirn_yield());
    atomic_store(&found, 1);
    return 0;
}

static int connect_slowly(void *arg)
{
    char dir[] = "/tmp/pirn-path-XXXXXX", path[64];
    (void)arg;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/socket", dir);
    int listener = pirn_listen_unix(path, NULL, PIRN_NEVER);
    CHECK_GE(listener, 0);
    atomic_store(&looking, 0);
    atomic_store(&found, 0);
    pirn_task *finder = support_spawn(find, NULL);
    int fd = pirn_connect_unix(path, PIRN_NEVER);
    CHECK_GE(fd, 0);
    CHECK_EQ(atomic_load(&looking), 1);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0); /* as it was */
    CHECK_OK(support_join(finder));
    int other = pirn_accept(listener, NULL, NULL, 0, PIRN_NEVER);
    CHECK_EQ(pirn_send(fd, "x", 1, 0, PIRN_NEVER), 1);
    char c;
    CHECK_EQ(pirn_recv(other, &c, 1, 0, PIRN_NEVER), 1);
    pirn_close(fd);
    pirn_close(other);

    /* Who does not wait for a thread has the ring do it; nobody comes here. */
    atomic_store(&looking, 0);
    fd = pirn_connect_unix(path, PIRN_NOW);
    CHECK_EQ(atomic_load(&looking), 0);
    CHECK(fd >= 0 || fd == -ETIMEDOUT);
    if (fd >= 0)
        pirn_close(fd);

    /* Cancelled before: nobody looks. */
    atomic_store(&found, 0);
    atomic_store(&looking, 0);
    finder = support_spawn(find, NULL);
    CHECK_OK(pirn_cancel(pirn_current(), NULL));
    CHECK_EQ(pirn_connect_unix(path, PIRN_NEVER), -ECANCELED);
    CHECK_EQ(atomic_load(&looking), 0);
    atomic_store(&looking, 1);
    CHECK_OK(support_join(finder));
    pirn_close(listener);
    unlink(path);
    rmdir(dir);
    return 0;
}

START_TEST(a_path_is_looked_up_by_no_worker)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, connect_slowly, NULL));
}
END_TEST

SUPPORT_MAIN("connect_path", a_path_is_looked_up_by_no_worker)
