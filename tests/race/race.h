/*
 * The race engine: a call is stopped (by a cancel, or by its deadline) at about the moment it
 * completes, many thousand times, and each time must have happened altogether or not at all.
 *
 * One coroutine makes the call; one plain thread, the driver, makes it complete and cancels it.
 * A round:
 *
 *   1  the coroutine prepares and says so; the driver, perhaps asleep, says that it is there
 *   2  the coroutine says go and makes the call (a little later, at random)
 *   3  the driver completes and cancels, one `skew` nanoseconds after the other; where deadlines
 *      race, it completes `skew` before or after the deadline
 *   4  the coroutine waits for the driver, takes what cancel is still pending and checks that there
 *      was exactly one, then checks what the call did
 *   5  the skew moves against what was seen, in steps that grow while the outcome stays the same:
 *      so it settles where both outcomes are equally likely
 *
 * Where timers are coarse, or threads wait long for a core, no skew may do that. So two rounds in
 * 32 have an outcome that is sure: in one the driver completes at once and the stop comes when the
 * call has returned, in one it is the other way round.
 *
 * A race is that many rounds at one W (1, 2 or 4), for a cancel or for a deadline; both outcomes
 * must be seen in at least one round in a hundred. On a machine that is busy with other things a
 * round may take milliseconds: each race has 3 s for ten thousand rounds (1 s for the thousand of a
 * slow build; PIRN_RACE_SECONDS says otherwise), and what those before it have left of theirs; then
 * it ends as soon as it has seen both. Three times its own share later, what the rounds done so far
 * (100 at least) have shown must do. So no race takes the time of those that follow.
 */
#ifndef PIRN_TESTS_RACE_H
#define PIRN_TESTS_RACE_H

#include "tests/race/rounds.h"

#include <time.h>

struct race;

struct race_kind {
    const char *name;
    /* Ran by the coroutine, around the rounds and in each of them. */
    void (*begin)(struct race *r);
    void (*end)(struct race *r);
    void (*prepare)(struct race *r);
    /* The call; its deadline is r->deadline. */
    long (*call)(struct race *r);
    /* Checks what it did; happened: it neither reported -ECANCELED nor -ETIMEDOUT. */
    void (*check)(struct race *r, long rc, bool happened);
    /* Makes the call complete; run by the driver, concurrently with the call. */
    void (*complete)(struct race *r);
    int rounds;       /* in a plain build, at each W */
    bool no_deadline; /* only cancelled */
    bool own_time;    /* completes by itself at r->instant; complete is not needed */
    bool partial;     /* may also have happened in part; that is not counted as an outcome */
};

struct race {
    const struct race_kind *kind;
    bool cancels; /* else deadlines */
    int rounds;
    pirn_task *task;
    pirn_time deadline;
    int64_t instant;                    /* when the call completes, or its deadline */
    atomic_int ready, armed, go, acted; /* the round of which each was said */
    atomic_int asked, returned;         /* the same, where the outcome is sure */
    atomic_int over;
    enum {
        RACE_OPEN,
        RACE_HAPPENS,
        RACE_STOPS
    } sure;
    int64_t late, too_late; /* instants, see race_give_time */
    _Atomic int64_t skew;
    int64_t step;
    int outcome[2], last;
    /* For the kinds. */
    int fds[2], peer;
    _Alignas(16) char buf[64];
    struct sockaddr_storage addr;
    socklen_t addr_len;
    uint64_t sent, got;
    pirn_future *future;
    pirn_task *child;
    void *more;
};

/* Spins for a moment only: on a busy machine the other side needs this core. */
static inline void race_wait(atomic_int *value, int wanted)
{
    struct timespec pause = {0, 20 * US};
    int64_t end = support_now() + 100 * US;
    while (atomic_load(value) < wanted)
        if (support_now() > end)
            nanosleep(&pause, NULL);
}

static inline void race_wait_for_time(int64_t instant)
{
    while (support_now() < instant) {}
}

/* For a kind's complete that can do nothing before the call waits: so often, as it may have been
 * stopped; but if it is to happen, until it has. */
static inline bool race_tries(const struct race *r, int tries, int most)
{
    return r->sure == RACE_HAPPENS || tries < most;
}

static inline void race_drive_surely(struct race *r, int i)
{
    bool happens = r->sure == RACE_HAPPENS;
    if (happens)
        r->kind->complete(r);
    else if (r->cancels)
        pirn_cancel(r->task, "race");
    atomic_store(&r->asked, i);
    race_wait(&r->returned, i);
    if (!happens)
        r->kind->complete(r);
    else if (r->cancels)
        pirn_cancel(r->task, "race");
}

static inline void *race_driver(void *arg)
{
    struct race *r = arg;
    for (int i = 1;; i++) {
        race_wait(&r->ready, i);
        if (atomic_load(&r->over))
            return NULL;
        atomic_store(&r->armed, i);
        race_wait(&r->go, i);
        int64_t skew = atomic_load(&r->skew) + support_between(-8 * US, 8 * US);
        if (r->sure != RACE_OPEN) {
            race_drive_surely(r, i);
        } else if (r->cancels && r->kind->own_time) {
            race_wait_for_time(r->instant + skew);
            pirn_cancel(r->task, "race");
        } else if (r->cancels) {
            int64_t base = support_now() + support_between(0, 20 * US);
            race_wait_for_time(base);
            if (skew < 0)
                pirn_cancel(r->task, "race");
            else
                r->kind->complete(r);
            race_wait_for_time(base + (skew < 0 ? -skew : skew));
            if (skew < 0)
                r->kind->complete(r);
            else
                pirn_cancel(r->task, "race");
        } else {
            race_wait_for_time(r->instant - skew);
            r->kind->complete(r);
        }
        atomic_store(&r->acted, i);
    }
}

/* skew is how much later the stop comes than the completion. */
static inline void race_adapt(struct race *r, int outcome)
{
    enum {
        MOST = 4000000
    };
    r->step = outcome == r->last ? r->step * 3 / 2 : US;
    r->step = r->step > 200 * US ? 200 * US : r->step;
    int64_t skew = atomic_load(&r->skew) + (outcome ? -r->step : r->step);
    atomic_store(&r->skew, skew > MOST ? MOST : skew < -MOST ? -MOST : skew);
    r->last = outcome;
}

static inline void race_round(struct race *r, int i)
{
    r->kind->prepare(r);
    atomic_store(&r->ready, i);
    for (int64_t end = support_now() + MS; atomic_load(&r->armed) < i && support_now() < end;) {}
    r->deadline = PIRN_NEVER;
    r->instant = support_now() + support_between(10 * US, 60 * US);
    r->sure = i % 32 == 1 ? RACE_HAPPENS : i % 32 == 2 ? RACE_STOPS : RACE_OPEN;
    if (!r->cancels)
        r->deadline = r->sure == RACE_HAPPENS ? pirn_after_s(3600) : (pirn_time){r->instant};
    atomic_store(&r->go, i);
    if (r->sure == RACE_STOPS && (r->kind->own_time || r->kind->partial))
        race_wait(&r->asked, i);
    support_spin(support_between(0, 10 * US));
    long rc = r->kind->call(r);
    atomic_store(&r->returned, i);
    bool stopped = rc == -ECANCELED || rc == -ETIMEDOUT;
    int cancels = rc == -ECANCELED;
    for (int spins = 0; atomic_load(&r->acted) < i; spins++)
        cancels += (spins < 100 ? pirn_yield() : pirn_sleep(pirn_after_us(20))) == -ECANCELED;
    cancels += pirn_yield() == -ECANCELED;
    CHECK_EQ(cancels, r->cancels); /* delivered exactly once */
    if (rc == -ETIMEDOUT)
        CHECK(!r->cancels && pirn_now().ns >= r->deadline.ns);
    r->kind->check(r, rc, !stopped);
    r->outcome[!stopped]++;
    if (r->sure == RACE_OPEN)
        race_adapt(r, !stopped);
    else if (r->sure == RACE_HAPPENS || !r->kind->partial)
        CHECK_EQ(stopped, r->sure == RACE_STOPS);
}

/* The race's share of time, and what is left of those before it. */
static inline void race_give_time(struct race *r)
{
    static int64_t end; /* of all that was given so far */
    const double seconds = support_slow() ? 1 : 3;
    int64_t now = support_now(), share = rounds_patience(seconds) / 10000 * r->kind->rounds;
    end = (end > now ? end : now) + share;
    r->late = end;
    r->too_late = end + 3 * share;
}

/* Has it taken too long, and seen enough? Far too long: what it has seen of the rounds it did must
 * do. */
static inline bool race_is_late(struct race *r, int done)
{
    int64_t now = support_now();
    if (now > r->too_late && done >= 100 && done < r->rounds)
        r->rounds = done;
    return now > r->late && r->outcome[0] >= r->rounds / 100 && r->outcome[1] >= r->rounds / 100;
}

static inline int race_main(void *arg)
{
    struct race *r = arg;
    r->task = pirn_current();
    r->kind->begin(r);
    pthread_t driver = support_thread(race_driver, r);
    int i = 1;
    while (i <= r->rounds && !race_is_late(r, i - 1))
        race_round(r, i++);
    atomic_store(&r->over, 1);
    atomic_store(&r->ready, i);
    support_thread_join(driver);
    r->kind->end(r);
    return 0;
}

static inline void race_run(const struct race_kind *kind)
{
    support_census before = support_count();
    for (int cancels = kind->no_deadline; cancels < 2; cancels++) {
        FOR_WORKERS(w)
        {
            struct race *r = calloc(1, sizeof(*r));
            CHECK(r);
            r->kind = kind;
            r->cancels = cancels;
            r->rounds = support_rounds(kind->rounds);
            r->step = US;
            race_give_time(r);
            int64_t began = support_now();
            CHECK_OK(support_run(w, race_main, r));
            if (getenv("PIRN_TEST_VERBOSE"))
                fprintf(stderr, "%s %s W=%d: %d stopped, %d happened, skew %ld us, %ld ms\n",
                        kind->name, cancels ? "cancel" : "deadline", w, r->outcome[0],
                        r->outcome[1], (long)(atomic_load(&r->skew) / US),
                        (long)((support_now() - began) / MS));
            CHECK_GE(r->outcome[0], r->rounds / 100);
            CHECK_GE(r->outcome[1], r->rounds / 100);
            free(r);
        }
    }
    support_no_more_than(before);
}

/* A buffer that is poisoned as soon as it is ours again must stay so. */
static inline void race_poison(void *buf, size_t n)
{
    memset(buf, 0xa5, n);
}

static inline void race_check_poison(const void *buf, size_t n)
{
    const unsigned char *p = buf;
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(p[i], 0xa5);
}

static inline void race_no_op(struct race *r)
{
    (void)r;
}

#endif
