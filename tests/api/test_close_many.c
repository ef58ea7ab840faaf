/* wraps pirn_wait_stop_fd */
/* wraps pirn_task_each_that */
/*
 * A close looks for tasks to stop only if something is under way on its own descriptor, and goes
 * through all of them only if there are more than one that reads and one that writes: with many
 * connections each close would cost as much as there are tasks.
 */
#include "tests/api/close.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "runtime/task.h"
#include "runtime/wait.h"

bool __real_pirn_wait_stop_fd(struct pirn_runtime *rt, int fd, const struct fd_users *only);
bool __wrap_pirn_wait_stop_fd(struct pirn_runtime *rt, int fd, const struct fd_users *only);

void __real_pirn_task_each_that(struct pirn_runtime *rt,
                                bool (*wanted)(const struct pirn_task *t, const void *arg),
                                void (*fn)(struct pirn_task *t, void *arg), void *arg);
void __wrap_pirn_task_each_that(struct pirn_runtime *rt,
                                bool (*wanted)(const struct pirn_task *t, const void *arg),
                                void (*fn)(struct pirn_task *t, void *arg), void *arg);

static atomic_int looks, walks;

bool __wrap_pirn_wait_stop_fd(struct pirn_runtime *rt, int fd, const struct fd_users *only)
{
    atomic_fetch_add(&looks, 1);
    return __real_pirn_wait_stop_fd(rt, fd, only);
}

void __wrap_pirn_task_each_that(struct pirn_runtime *rt,
                                bool (*wanted)(const struct pirn_task *t, const void *arg),
                                void (*fn)(struct pirn_task *t, void *arg), void *arg)
{
    atomic_fetch_add(&walks, 1);
    __real_pirn_task_each_that(rt, wanted, fn, arg);
}

static int use(void *arg)
{
    struct user *u = arg;
    u->rc = u->call(u);
    return 0;
}

/* What has a number so much larger has nothing to do with it. */
static void close_beside(int fd, int distance)
{
    int idle[2], before = atomic_load(&looks);
    support_pair(idle);
    int other = fcntl(idle[0], F_DUPFD_CLOEXEC, fd + distance);
    CHECK_GE(other, fd + distance);
    if (other == fd + distance) /* nobody else has taken it */
        CHECK_OK(pirn_close(other));
    else
        CHECK_OK(close(other));
    CHECK_OK(close(idle[0]));
    CHECK_OK(close(idle[1]));
    CHECK_EQ(atomic_load(&looks), before);
}

static int close_others(void *arg)
{
    int fds[2];
    const struct rlimit *limit = arg;
    support_pair(fds);
    struct user u = {.fd = fds[0], .call = u_recv, .rc = -1};
    pirn_task *task = support_spawn(use, &u);
    support_until_waiting(task);
    for (int distance = 16; distance <= 1 << 19; distance *= 2) {
        if ((rlim_t)(fds[0] + distance) < limit->rlim_cur)
            close_beside(fds[0], distance);
    }
    CHECK_EQ(u.rc, -1);
    int before = atomic_load(&looks);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_GE(atomic_load(&looks), before + 1);
    CHECK_OK(support_join(task));
    CHECK_EQ(u.rc, -EBADF);
    CHECK_OK(close(fds[1]));
    return 0;
}

START_TEST(a_close_looks_for_tasks_for_its_own_alone)
{
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max; /* with less than 4,096 it shows nothing new */
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    FOR_WORKERS(w) CHECK_OK(support_run(w, close_others, &limit));
}
END_TEST

/* ---- One that reads, and one that writes -------------------------------------------------- */

enum {
    CONNECTIONS = 50
};

struct connection {
    int fds[2];
    pirn_stream *stream;
    struct user reader, writer;
    pirn_task *tasks[2];
};

static void fill_up(int fd)
{
    static const char bytes[4096];
    while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

static void begin(struct user *u, int fd, ssize_t (*call)(struct user *u), pirn_task **ret_task)
{
    *u = (struct user){.fd = fd, .call = call};
    *ret_task = support_spawn(use, u);
    support_until_waiting(*ret_task);
}

static int close_used(void *arg)
{
    static struct connection all[CONNECTIONS];
    (void)arg;
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &all[i];
        support_pair(c->fds);
        fill_up(c->fds[0]);
        begin(&c->reader, c->fds[0], u_recv, &c->tasks[0]);
        begin(&c->writer, c->fds[0], i % 2 == 0 ? u_send : u_write, &c->tasks[1]);
    }
    int before = atomic_load(&walks);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK_OK(pirn_close(all[i].fds[0]));
    CHECK_EQ(atomic_load(&walks), before);
    for (int i = 0; i < CONNECTIONS; i++) {
        CHECK_OK(support_join(all[i].tasks[0]));
        CHECK_OK(support_join(all[i].tasks[1]));
        CHECK_EQ(all[i].reader.rc, -EBADF);
        CHECK_EQ(all[i].writer.rc, -EBADF);
        CHECK_OK(close(all[i].fds[1]));
    }
    return 0;
}

START_TEST(a_close_finds_one_that_reads_and_one_that_writes)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, close_used, NULL));
}
END_TEST

static int read_one(void *arg)
{
    char byte;
    return (int)pirn_stream_read(arg, &byte, 1, PIRN_NEVER);
}

static int abort_used(void *arg)
{
    static struct connection all[CONNECTIONS];
    (void)arg;
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &all[i];
        support_pair(c->fds);
        CHECK_OK(pirn_stream_new(&c->stream, c->fds[0], NULL));
        c->tasks[0] = support_spawn(read_one, c->stream);
        support_until_waiting(c->tasks[0]);
    }
    int before = atomic_load(&walks);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK_OK(pirn_stream_abort(all[i].stream));
    CHECK_EQ(atomic_load(&walks), before);
    for (int i = 0; i < CONNECTIONS; i++) {
        CHECK_EQ(support_join(all[i].tasks[0]), -EBADF);
        pirn_stream_release(all[i].stream);
        CHECK_OK(close(all[i].fds[1]));
    }
    return 0;
}

START_TEST(an_abort_finds_who_reads)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, abort_used, NULL));
}
END_TEST

/* Two of them have nothing that tells of them. */
static int close_shared(void *arg)
{
    int fds[2];
    struct user users[3];
    pirn_task *tasks[3];
    (void)arg;
    support_pair(fds);
    for (int i = 0; i < 3; i++)
        begin(&users[i], fds[0], u_recv, &tasks[i]);
    int before = atomic_load(&walks);
    CHECK_OK(pirn_close(fds[0]));
    CHECK_GE(atomic_load(&walks), before + 1);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(support_join(tasks[i]));
        CHECK_EQ(users[i].rc, -EBADF);
    }
    CHECK_OK(close(fds[1]));
    return 0;
}

START_TEST(a_close_finds_the_others_too)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, close_shared, NULL));
}
END_TEST

SUPPORT_MAIN("close_many", a_close_looks_for_tasks_for_its_own_alone,
             a_close_finds_one_that_reads_and_one_that_writes, an_abort_finds_who_reads,
             a_close_finds_the_others_too)
