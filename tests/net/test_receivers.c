/*
 * Many receivers of one socket: each message wakes all of them, and after so many times in vain the
 * kernel lets a helper thread wait for one. Those of one socket keep nobody from what has come for
 * another.
 */
#include "tests/support.h"

#include <errno.h>

enum {
    SOCKETS = 4,
    RECEIVERS = 8,  /* of each */
    IN_VAIN = 1000, /* messages; the kernel has patience for 128 */
};

struct receiver {
    int fd;
    atomic_int *held;
};

static atomic_int holding;

static int receive(void *arg)
{
    struct receiver *r = arg;
    char byte;
    ssize_t n;
    while ((n = pirn_recv(r->fd, &byte, 1, 0, PIRN_NEVER)) == 1) {
        if (atomic_load(&holding) == 0)
            continue;
        atomic_fetch_add(r->held, 1);
        CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
        return -ECANCELED;
    }
    return (int)n;
}

/* All receivers are woken, and what they were woken for is mostly gone. */
static int wake_in_vain(void *arg)
{
    int(*pair)[2] = arg;
    char byte;
    for (int s = 0; s < SOCKETS; s++) {
        for (int i = 0; i < IN_VAIN; i++) {
            CHECK_EQ(send(pair[s][1], "x", 1, 0), 1);
            ssize_t n = recv(pair[s][0], &byte, 1, MSG_DONTWAIT);
            CHECK(n == 1 || errno == EAGAIN);
            usleep(50);
        }
    }
    return 0;
}

static int herds(void *arg)
{
    static struct receiver r[SOCKETS][RECEIVERS];
    static atomic_int held[SOCKETS];
    pirn_task *tasks[SOCKETS][RECEIVERS];
    int pair[SOCKETS][2];
    (void)arg;
    atomic_store(&holding, 0);
    for (int s = 0; s < SOCKETS; s++) {
        CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair[s]));
        atomic_store(&held[s], 0);
        for (int i = 0; i < RECEIVERS; i++) {
            r[s][i].fd = pair[s][0];
            r[s][i].held = &held[s];
            tasks[s][i] = support_spawn(receive, &r[s][i]);
        }
    }
    for (int s = 0; s < SOCKETS; s++)
        for (int i = 0; i < RECEIVERS; i++)
            support_until_waiting(tasks[s][i]);
    CHECK_OK(pirn_blocking(wake_in_vain, pair, NULL, PIRN_NEVER));
    atomic_store(&holding, 1);
    for (int s = SOCKETS - 1; s >= 0; s--) {
        for (int i = 0; i < RECEIVERS; i++)
            CHECK_EQ(pirn_send(pair[s][1], "x", 1, 0, PIRN_NEVER), 1);
        support_until(&held[s], RECEIVERS);
    }
    for (int s = 0; s < SOCKETS; s++) {
        for (int i = 0; i < RECEIVERS; i++) {
            CHECK_OK(pirn_cancel(tasks[s][i], NULL));
            CHECK_EQ(support_join(tasks[s][i]), -ECANCELED);
        }
        CHECK_OK(close(pair[s][0]));
        CHECK_OK(close(pair[s][1]));
    }
    return 0;
}

START_TEST(receivers_of_one_socket_keep_nobody_from_another)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, herds, NULL));
}
END_TEST

SUPPORT_MAIN("net/receivers", receivers_of_one_socket_keep_nobody_from_another)
