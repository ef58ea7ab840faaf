/*
 * No descriptors to be had (RLIMIT_NOFILE): accept and openat give -EMFILE, an accept loop pauses
 * and resumes without losing a client, a runtime that cannot have its ring says so, starts later.
 */
#include <fcntl.h>

#include "tests/process/scenario.h"

enum {
    CLIENTS = 32,
    ROOM = 8
};

typedef struct service {
    int listener;
    struct sockaddr_in addr;
    atomic_int served, paused;
} service;

static void close_connection(void *arg)
{
    close((int)(intptr_t)arg);
}

static int serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[64];
    ssize_t n;

    while ((n = pirn_recv(fd, buf, sizeof(buf), 0, PIRN_NEVER)) > 0)
        CHECK_EQ(pirn_send(fd, buf, (size_t)n, 0, PIRN_NEVER), n);
    return 0;
}

static int accept_loop(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    service *s = arg;
    pirn_task *task;

    config.arg_drop = close_connection;
    while (atomic_load(&s->served) < CLIENTS) {
        int fd = pirn_accept(s->listener, NULL, NULL, 0, pirn_after_s(20));

        if (fd == -EMFILE) {
            atomic_fetch_add(&s->paused, 1);
            CHECK_OK(pirn_sleep(pirn_after_ms(5)));
            continue;
        }
        CHECK(fd >= 0);
        CHECK_OK(pirn_spawn_with(&task, &config, serve, (void *)(intptr_t)fd));
        CHECK_OK(pirn_detach(task));
        atomic_fetch_add(&s->served, 1);
    }
    return 0;
}

/*
 * Its own process, with limits of its own: connects all at once, then serves itself one by one; a
 * client that leaves makes room for one that waits in the backlog.
 */
static void clients(const struct sockaddr_in *addr)
{
    int fds[CLIENTS], i;
    char c;

    for (i = 0; i < CLIENTS; i++)
        fds[i] = connect_plainly(addr);
    for (i = 0; i < CLIENTS; i++) {
        CHECK_EQ(send(fds[i], "x", 1, MSG_NOSIGNAL), 1);
        CHECK_EQ(recv(fds[i], &c, 1, 0), 1);
        usleep(2000);
        close(fds[i]);
    }
    _exit(0);
}

static int crowded(void *arg)
{
    service s = {.listener = -1};
    pirn_task *acceptor;
    rlim_t limit;
    pid_t pid;
    int fd, status = -1;

    (void)arg;
    s.listener = support_listen(&s.addr, CLIENTS * 2);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        clients(&s.addr);
    /* The client's fork is done: from here on, room for a few connections only. */
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    limit = (rlim_t)fd + ROOM;
    close(fd);
    set_soft_limit(RLIMIT_NOFILE, limit);
    CHECK_OK(pirn_spawn(&acceptor, accept_loop, &s));
    while (atomic_load(&s.paused) == 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_join(acceptor, &status, PIRN_NEVER));
    CHECK_OK(status);
    CHECK_OK(pirn_blocking(wait_for_process, &pid, &status, PIRN_NEVER));
    CHECK_OK(status);
    CHECK_EQ(atomic_load(&s.served), CLIENTS);
    printf("accept paused %d times\n", atomic_load(&s.paused));
    CHECK_OK(pirn_close(s.listener));
    return 0;
}

/*
 * Fills the table to the last slot, looks what the calls say, and empties it again. The monitor has
 * a descriptor for a moment now and then (to look whether a worker runs), maybe one of these slots.
 */
static int full_table(void *arg)
{
    int fds[256], n = 0, again, i;

    (void)arg;
    set_soft_limit(RLIMIT_NOFILE, 200);
    while (n < 256 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
        n++;
    CHECK(n > 0 && n < 256);
    while ((again = pirn_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0, pirn_after_s(20))) >= 0) {
        CHECK(n < 256);
        fds[n++] = again;
    }
    CHECK_EQ(again, -EMFILE);
    CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_close(fds[--n]));
    while ((again = pirn_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0, pirn_after_s(20))) == -EMFILE)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK(again >= 0);
    fds[n] = again;
    for (i = 0; i <= n; i++)
        CHECK_OK(pirn_close(fds[i]));
    return 0;
}

static int run_with_two(void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    support_census before = support_count();
    int status;

    config.workers = 2;
    CHECK_OK(pirn_run_with(&config, *(pirn_fn *)arg, NULL, &status));
    check_nothing_left(before);
    return status;
}

/* The runtime needs descriptors itself: none, one, two, ... until it starts. */
static int start_with_few(void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_fn fn = full_table;
    support_census before = support_count();
    int room, status, err = -EMFILE;

    (void)arg;
    config.workers = 2;
    for (room = 0; room < 32 && err < 0; room++) {
        int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);

        close(lowest);
        set_soft_limit(RLIMIT_NOFILE, (rlim_t)(lowest + room));
        err = pirn_run_with(&config, serve, (void *)(intptr_t)-1, &status);
        CHECK(err == 0 || err == -EMFILE || err == -EAGAIN || err == -ENOMEM);
        CHECK(room > 0 || err < 0);
        set_soft_limit(RLIMIT_NOFILE, 200);
        check_nothing_left(before);
    }
    printf("a runtime with two workers started with room for %d descriptors\n", room - 1);
    CHECK_OK(err);
    return run_with_two(&fn);
}

int main(void)
{
    pirn_fn fns[] = {crowded, full_table};

    scenario("accept pauses and resumes", run_with_two, &fns[0], 60);
    scenario("a full table", run_with_two, &fns[1], 30);
    return scenario("start with few descriptors", start_with_few, NULL, 60);
}
