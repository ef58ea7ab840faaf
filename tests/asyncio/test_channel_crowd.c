/*
 * A handle of a channel that is closed looks at nobody who waits through another: of n producers
 * with a handle each, which close it when they are through, each would go through all who still
 * wait. Here they wait in selects whose cases are out of reach meanwhile: to look is the end of the
 * process.
 */
#include "tests/support.h"

#include <sys/mman.h>

enum {
    PRODUCERS = 4
};

struct producer {
    pirn_channel *handle;
    pirn_case *cases; /* on a page of its own */
    pirn_task *task;
    int item, rc, result;
};

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int produce(void *arg)
{
    struct producer *p = arg;
    p->rc = pirn_select(p->cases, 1, PIRN_NEVER);
    if (p->rc == 0)
        p->result = p->cases[0].result;
    return 0;
}

static void begin(struct producer *p, pirn_channel *channel, int item, bool sends)
{
    CHECK_OK(pirn_channel_clone(channel, PIRN_CHANNEL_BOTH, &p->handle));
    p->cases = mmap(NULL, page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p->cases != MAP_FAILED);
    p->item = item;
    p->rc = p->result = -1;
    p->cases[0] = sends ? pirn_case_send(p->handle, &p->item) : pirn_case_recv(p->handle, &p->item);
    p->task = support_spawn(produce, p);
    support_until_waiting(p->task);
}

static void end(struct producer *p, int result)
{
    CHECK_OK(support_join(p->task));
    CHECK_EQ(p->rc, 0);
    CHECK_EQ(p->result, result);
    CHECK_OK(munmap(p->cases, page()));
    pirn_channel_release(p->handle);
}

static void reach(const struct producer *all, int from, int to, int how)
{
    for (int i = from; i < to; i++)
        CHECK_OK(mprotect(all[i].cases, page(), how));
}

static int close_handles(void *arg)
{
    bool sends = *(bool *)arg;
    struct producer all[PRODUCERS];
    pirn_channel *channel, *other;
    int item = 0;
    CHECK_OK(pirn_channel_new(&channel, sizeof(int), 0, NULL));
    CHECK_OK(pirn_channel_clone(channel, PIRN_CHANNEL_BOTH, &other));
    for (int i = 0; i < PRODUCERS; i++)
        begin(&all[i], channel, i, sends);
    reach(all, 0, PRODUCERS, PROT_NONE);
    CHECK_OK(pirn_channel_close(other, PIRN_CHANNEL_BOTH)); /* nobody has waited through it */
    pirn_channel_release(other);
    reach(all, 0, PRODUCERS, PROT_READ | PROT_WRITE);
    /* The first is through, and closes its own. */
    if (sends)
        CHECK_EQ(pirn_channel_recv(channel, &item, PIRN_NEVER), 1);
    else
        CHECK_OK(pirn_channel_send(channel, &item, PIRN_NEVER));
    CHECK_EQ(item, 0);
    reach(all, 1, PRODUCERS, PROT_NONE);
    CHECK_OK(pirn_channel_close(all[0].handle, PIRN_CHANNEL_BOTH));
    reach(all, 1, PRODUCERS, PROT_READ | PROT_WRITE);
    end(&all[0], sends ? 0 : 1);
    /* One gives up, and closes its own. */
    CHECK_OK(pirn_cancel(all[1].task, NULL));
    CHECK_OK(support_join(all[1].task));
    CHECK_EQ(all[1].rc, -ECANCELED);
    reach(all, 2, PRODUCERS, PROT_NONE);
    pirn_channel_release(all[1].handle);
    reach(all, 2, PRODUCERS, PROT_READ | PROT_WRITE);
    CHECK_OK(munmap(all[1].cases, page()));
    /* Who waits through one that is closed hears of it, and nobody else. */
    CHECK_OK(pirn_channel_close(all[3].handle, PIRN_CHANNEL_BOTH));
    end(&all[3], -EPIPE);
    CHECK_EQ(all[2].rc, -1);
    CHECK_OK(pirn_channel_close(channel, sends ? PIRN_CHANNEL_RECV : PIRN_CHANNEL_SEND));
    CHECK_OK(pirn_channel_close(all[2].handle, sends ? PIRN_CHANNEL_RECV : PIRN_CHANNEL_SEND));
    end(&all[2], sends ? -EPIPE : 0);
    pirn_channel_release(channel);
    return 0;
}

START_TEST(a_close_looks_at_no_other_handles_senders)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, close_handles, &(bool){true}));
}
END_TEST

START_TEST(a_close_looks_at_no_other_handles_receivers)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, close_handles, &(bool){false}));
}
END_TEST

SUPPORT_MAIN("channel_crowd", a_close_looks_at_no_other_handles_senders,
             a_close_looks_at_no_other_handles_receivers)
