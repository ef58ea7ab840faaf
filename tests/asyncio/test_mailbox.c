/* Mailboxes: what coroutines and threads have done by a thread with a loop of its own. */
#include "tests/race/race.h"

#include <poll.h>
#include <sys/epoll.h>

static bool is_readable(const pirn_mailbox *mb)
{
    struct pollfd p = {.fd = pirn_mailbox_fd(mb), .events = POLLIN};
    int n = poll(&p, 1, 0);
    CHECK_GE(n, 0);
    return n == 1 && (p.revents & POLLIN);
}

static pirn_mailbox *new_mailbox(void)
{
    pirn_mailbox *mb = NULL;
    CHECK_OK(pirn_mailbox_new(&mb));
    CHECK(!is_readable(mb));
    return mb;
}

/* ---- One after the other ----------------------------------------------------------------- */

struct list {
    pirn_mailbox *mb;
    int n, values[64];
};

struct note {
    struct list *list;
    int value;
};

static void write_down(void *arg)
{
    struct note *note = arg;
    note->list->values[note->list->n++] = note->value;
    if (note->value == 2) { /* posted by what is dispatched: the next time */
        note->value = 20;
        CHECK_OK(pirn_mailbox_post(note->list->mb, write_down, note));
    }
}

START_TEST(posts_run_in_order)
{
    struct list list = {.mb = new_mailbox()};
    struct note notes[5];
    CHECK_EQ(pirn_mailbox_dispatch(list.mb), 0);
    for (int i = 0; i < 5; i++) {
        notes[i] = (struct note){&list, i};
        CHECK_OK(pirn_mailbox_post(list.mb, write_down, &notes[i]));
        CHECK(is_readable(list.mb));
    }
    CHECK_EQ(pirn_mailbox_dispatch(list.mb), 5);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(list.values[i], i);
    CHECK(is_readable(list.mb));
    CHECK_EQ(pirn_mailbox_dispatch(list.mb), 1);
    CHECK_EQ(list.values[5], 20);
    CHECK(!is_readable(list.mb));
    pirn_mailbox_release(list.mb);
}
END_TEST

static int never(void *arg)
{
    (void)arg;
    CHECK(!"never runs");
    return 0;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void *dispatch_too(void *arg)
{
    CHECK_EQ(pirn_mailbox_dispatch(arg), -EBUSY);
    return NULL;
}

static void misuse(void *arg)
{
    int status = -12345;
    CHECK_EQ(pirn_mailbox_call(arg, never, NULL, &status, PIRN_NEVER), -EDEADLK);
    pthread_t thread = support_thread(dispatch_too, arg);
    support_thread_join(thread);
    CHECK_EQ(pirn_mailbox_dispatch(arg), 0); /* nested: there is nothing */
    CHECK_EQ(status, -12345);
}

static int dispatch_in_coroutine(void *arg)
{
    return pirn_mailbox_dispatch(arg);
}

START_TEST(misused)
{
    pirn_mailbox *mb = new_mailbox();
    CHECK_EQ(pirn_mailbox_new(NULL), -EINVAL);
    CHECK_EQ(pirn_mailbox_post(mb, NULL, NULL), -EINVAL);
    CHECK_EQ(pirn_mailbox_post(NULL, misuse, mb), -EINVAL);
    CHECK_EQ(pirn_mailbox_call(mb, NULL, NULL, NULL, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_mailbox_call(mb, never, NULL, NULL, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_mailbox_dispatch(mb), 0);
    CHECK_OK(pirn_mailbox_post(mb, misuse, mb));
    CHECK_EQ(pirn_mailbox_dispatch(mb), 1);
    CHECK_EQ(support_run(1, dispatch_in_coroutine, mb), -EPERM);
    pirn_mailbox_release(mb);
    pirn_mailbox_release(NULL);
}
END_TEST

/* ---- A foreign loop, and much post ------------------------------------------------------- */

enum {
    POSTERS = 4,
    STOP = -1
};

struct office {
    pirn_mailbox *mb;
    pthread_t reader;
    atomic_int posters, threads_done;
    int each, last[2 * POSTERS]; /* the reader's: what came last from each poster */
    long done;                   /* the reader's */
    bool stop;                   /* the reader's */
};

struct letter {
    struct office *office;
    int poster, i;
};

static void stop_reading(void *arg)
{
    ((struct office *)arg)->stop = true;
}

static void receive(void *arg)
{
    struct letter *l = arg;
    struct office *o = l->office;
    CHECK(pthread_equal(pthread_self(), o->reader));
    CHECK_EQ(l->i, o->last[l->poster] + 1); /* each poster's in its order */
    o->last[l->poster] = l->i;
    o->done++;
    free(l);
}

static int answer(void *arg)
{
    struct letter *l = arg;
    CHECK(pthread_equal(pthread_self(), l->office->reader));
    CHECK_EQ(l->i, l->office->last[l->poster] + 1);
    l->office->last[l->poster] = l->i;
    l->office->done++;
    return 2 * l->i;
}

static void *foreign_loop(void *arg)
{
    struct office *o = arg;
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK_GE(epoll, 0);
    o->reader = pthread_self();
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pirn_mailbox_fd(o->mb), &event));
    while (!o->stop) {
        CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
        CHECK_GE(pirn_mailbox_dispatch(o->mb), 0);
    }
    close(epoll);
    return NULL;
}

static int post_many(void *arg)
{
    struct office *o = arg;
    int poster = atomic_fetch_add(&o->posters, 1);
    for (int i = 1; i <= o->each; i++) {
        if (i % 8 == 0) {
            struct letter l = {o, poster, i};
            int status = -1;
            CHECK_OK(pirn_mailbox_call(o->mb, answer, &l, &status, PIRN_NEVER));
            CHECK_EQ(status, 2 * i);
            continue;
        }
        struct letter *l = malloc(sizeof(*l));
        CHECK(l);
        *l = (struct letter){o, poster, i};
        CHECK_OK(pirn_mailbox_post(o->mb, receive, l));
    }
    return 0;
}

static void *post_from_thread(void *arg)
{
    struct office *o = arg;
    CHECK_OK(post_many(o));
    atomic_fetch_add(&o->threads_done, 1);
    return NULL;
}

static int post_from_all(void *arg)
{
    struct office *o = arg;
    pirn_task *tasks[POSTERS];
    pthread_t threads[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        tasks[i] = support_spawn(post_many, o);
        threads[i] = support_thread(post_from_thread, o);
    }
    for (int i = 0; i < POSTERS; i++)
        CHECK_OK(support_join(tasks[i]));
    support_until(&o->threads_done, POSTERS);
    for (int i = 0; i < POSTERS; i++)
        support_thread_join(threads[i]);
    return 0;
}

START_TEST(everything_arrives_in_order)
{
    FOR_WORKERS(w)
    {
        struct office o = {.mb = new_mailbox(), .each = support_rounds(2000)};
        pthread_t loop = support_thread(foreign_loop, &o);
        CHECK_OK(support_run(w, post_from_all, &o));
        CHECK_OK(pirn_mailbox_post(o.mb, stop_reading, &o));
        support_thread_join(loop);
        CHECK_EQ(o.done, 2L * POSTERS * o.each);
        pirn_mailbox_release(o.mb);
    }
}
END_TEST

/* ---- Given up ---------------------------------------------------------------------------- */

struct held {
    pirn_mailbox *mb;
    atomic_int began, let_go, ended, gave_up;
};

static int hold(void *arg)
{
    struct held *h = arg;
    atomic_fetch_add(&h->began, 1);
    while (!atomic_load(&h->let_go))
        support_pause_ms(1);
    atomic_fetch_add(&h->ended, 1);
    return 6;
}

static int call_hold(void *arg)
{
    struct held *h = arg;
    int status = -12345;
    int rc;
    do /* on a slow machine it may take some; then it has not begun */
        rc = pirn_mailbox_call(h->mb, hold, h, &status, pirn_after_ms(2));
    while (rc == -ETIMEDOUT);
    CHECK_OK(rc);
    CHECK_EQ(status, 6);
    CHECK_EQ(atomic_load(&h->ended), 1);
    CHECK_EQ(pirn_yield(), -ECANCELED); /* still to come */
    return 0;
}

static int call_queued(void *arg)
{
    struct held *h = arg;
    CHECK_EQ(pirn_mailbox_call(h->mb, never, NULL, NULL, pirn_after_ms(1)), -ETIMEDOUT);
    atomic_store(&h->gave_up, 1);
    return pirn_mailbox_call(h->mb, never, NULL, NULL, PIRN_NEVER);
}

static int cancel_both(void *arg)
{
    struct held *h = arg;
    pirn_task *running = support_spawn(call_hold, h);
    support_until(&h->began, 1);
    pirn_task *queued = support_spawn(call_queued, h);
    support_until(&h->gave_up, 1); /* the first call of its two */
    support_until_waiting(queued);
    CHECK_OK(pirn_cancel(queued, NULL));
    CHECK_OK(pirn_cancel(running, NULL));
    CHECK_EQ(support_join(queued), -ECANCELED);
    CHECK_EQ(pirn_status(running), -EINPROGRESS);
    atomic_store(&h->let_go, 1);
    return support_join(running);
}

static void *dispatch_until_told(void *arg)
{
    struct held *h = arg;
    while (!atomic_load(&h->ended)) {
        CHECK_GE(pirn_mailbox_dispatch(h->mb), 0);
        support_pause_ms(1);
    }
    CHECK_EQ(pirn_mailbox_dispatch(h->mb), 0);
    return NULL;
}

START_TEST(queued_never_runs_begun_is_waited_for)
{
    FOR_WORKERS(w)
    {
        struct held h = {.mb = new_mailbox()};
        pthread_t thread = support_thread(dispatch_until_told, &h);
        CHECK_OK(support_run(w, cancel_both, &h));
        support_thread_join(thread);
        pirn_mailbox_release(h.mb);
    }
}
END_TEST

/* A cancel, or a deadline, against the dispatch. */
static void race_begin(struct race *r)
{
    r->more = new_mailbox();
}

static void race_end(struct race *r)
{
    pirn_mailbox_release(r->more);
}

static void race_prepare(struct race *r)
{
    r->got = 0;
}

static int race_fn(void *arg)
{
    ((struct race *)arg)->got++;
    return 5;
}

static long race_call(struct race *r)
{
    int status = -12345;
    int rc = pirn_mailbox_call(r->more, race_fn, r, &status, r->deadline);
    CHECK_EQ(status, rc == 0 ? 5 : -12345);
    return rc;
}

static void race_check(struct race *r, long rc, bool happened)
{
    CHECK(rc == 0 || !happened);
    CHECK_EQ(r->got, happened);
    CHECK(!is_readable(r->more) || pirn_current());
}

static void race_complete(struct race *r)
{
    /* Its caller may not have come this far yet: then it is called again. */
    for (int i = 0; race_tries(r, i, 50) && pirn_mailbox_dispatch(r->more) == 0; i++)
        support_spin(US);
}

static const struct race_kind call_race = {
    .name = "mailbox call",
    .begin = race_begin,
    .end = race_end,
    .prepare = race_prepare,
    .call = race_call,
    .check = race_check,
    .complete = race_complete,
    .rounds = 1000,
};

START_TEST(given_up_or_run)
{
    race_run(&call_race);
}
END_TEST

/* ---- Closed ------------------------------------------------------------------------------ */

static int call_closed(void *arg)
{
    return pirn_mailbox_call(arg, never, NULL, NULL, PIRN_NEVER);
}

static int close_it(void *arg)
{
    pirn_mailbox *mb = arg;
    pirn_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = support_spawn(call_closed, mb);
    for (int i = 0; i < 3; i++)
        support_until_waiting(tasks[i]);
    CHECK_OK(pirn_mailbox_post(mb, nothing, mb));
    CHECK_OK(pirn_mailbox_post(mb, nothing, mb));
    CHECK_EQ(pirn_mailbox_close(mb), 2);
    CHECK_EQ(pirn_mailbox_close(mb), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(support_join(tasks[i]), -ESHUTDOWN);
    CHECK_EQ(pirn_mailbox_post(mb, nothing, mb), -ESHUTDOWN);
    CHECK_EQ(pirn_mailbox_call(mb, never, NULL, NULL, PIRN_NEVER), -ESHUTDOWN);
    return 0;
}

static void release_last(void *arg)
{
    pirn_mailbox_release(arg);
}

START_TEST(closed)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    {
        pirn_mailbox *mb = new_mailbox();
        CHECK(pirn_mailbox_retain(mb) == mb);
        CHECK_OK(support_run(w, close_it, mb));
        CHECK(is_readable(mb)); /* who watches it is told */
        CHECK_EQ(pirn_mailbox_dispatch(mb), -ESHUTDOWN);
        pirn_mailbox_release(mb);
        pirn_mailbox_release(mb);
        mb = new_mailbox(); /* also of one that has never had a letter */
        CHECK_EQ(pirn_mailbox_close(mb), 0);
        CHECK(is_readable(mb));
        pirn_mailbox_release(mb);
        mb = new_mailbox();
        CHECK_OK(pirn_mailbox_post(mb, release_last, mb)); /* its own last one */
        CHECK_EQ(pirn_mailbox_dispatch(mb), 1);
    }
    support_no_more_than(before);
}
END_TEST

SUPPORT_MAIN("mailbox", posts_run_in_order, misused, everything_arrives_in_order,
             queued_never_runs_begun_is_waited_for, given_up_or_run, closed)
