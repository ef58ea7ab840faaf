/*
 * Select: one case goes and the others have not happened, also when selects face each other, on one
 * worker and on several.
 */
#include "tests/support.h"

static pirn_channel *new_channel(size_t capacity)
{
    pirn_channel *ch = NULL;
    CHECK_OK(pirn_channel_new(&ch, sizeof(int), capacity, NULL));
    return ch;
}

static void put(pirn_channel *ch, int item)
{
    CHECK_OK(pirn_channel_try_send(ch, &item));
}

static int get(pirn_channel *ch)
{
    int item = -1, rc = pirn_channel_try_recv(ch, &item);
    return rc == 1 ? item : rc;
}

/* ---- What one caller sees ---------------------------------------------------------------- */

static void alone(void)
{
    pirn_channel *a = new_channel(2), *b = new_channel(2), *full = new_channel(1);
    int x = -1, y = -1, out = 5;
    pirn_case cases[] = {pirn_case_recv(a, &x), pirn_case_recv(b, &y), pirn_case_send(full, &out),
                         pirn_case_recv(NULL, &x)};
    put(full, 9);
    CHECK_EQ(pirn_select_try(cases, 4), -EAGAIN);
    CHECK_EQ(pirn_select(cases, 4, PIRN_NOW), -ETIMEDOUT);
    pirn_time until = pirn_after_ms(2);
    CHECK_EQ(pirn_select(cases, 4, until), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, until.ns);
    CHECK_EQ(pirn_select(NULL, 0, PIRN_NOW), -ETIMEDOUT);
    CHECK_EQ(pirn_select_try(NULL, 0), -EAGAIN);
    CHECK_EQ(pirn_select(NULL, 1, PIRN_NOW), -EINVAL);
    CHECK(x == -1 && y == -1 && pirn_channel_size(full) == 1);
    put(b, 7);
    put(b, 8);
    CHECK_EQ(pirn_select(cases, 4, PIRN_NEVER), 1);
    CHECK(x == -1 && y == 7 && cases[1].result == 1);
    CHECK_EQ(pirn_channel_size(b), 1);
    CHECK_EQ(pirn_select_try(cases, 4), 1);
    CHECK_EQ(y, 8);
    CHECK_EQ(get(full), 9);
    CHECK_EQ(pirn_select(cases, 4, PIRN_NEVER), 2);
    CHECK_OK(cases[2].result);
    CHECK_EQ(get(full), 5);
    put(full, 1);
    CHECK_OK(pirn_channel_close(a, PIRN_CHANNEL_SEND)); /* the end is something that comes */
    CHECK_EQ(pirn_select(cases, 4, PIRN_NEVER), 0);
    CHECK(x == -1 && cases[0].result == 0);
    CHECK_OK(pirn_channel_close(full, PIRN_CHANNEL_RECV));
    CHECK_EQ(pirn_select(&cases[1], 2, PIRN_NEVER), 1);
    CHECK_EQ(cases[2].result, -EPIPE);
    pirn_channel_release(a);
    pirn_channel_release(b);
    pirn_channel_release(full);
}

START_TEST(a139_one_caller)
{
    support_everywhere(alone);
}
END_TEST

/* ---- No case starves --------------------------------------------------------------------- */

static void fair(void)
{
    enum {
        CASES = 4,
        ROUNDS = 400
    };
    pirn_channel *ch[CASES];
    pirn_case cases[CASES + 1];
    int in[CASES], counts[CASES] = {0};
    for (int i = 0; i < CASES; i++) {
        ch[i] = new_channel(1);
        put(ch[i], i);
        cases[i] = pirn_case_recv(ch[i], &in[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int i = round % 2 ? pirn_select(cases, CASES, PIRN_NEVER) : pirn_select_try(cases, CASES);
        CHECK(i >= 0 && i < CASES && in[i] == i);
        counts[i]++;
        put(ch[i], i);
    }
    for (int i = 0; i < CASES; i++)
        CHECK_GE(counts[i], ROUNDS / CASES / 3);
    for (int i = 0; i < CASES; i++)
        pirn_channel_release(ch[i]);
}

START_TEST(a139_no_case_starves)
{
    support_everywhere(fair);
}
END_TEST

/* ---- Waiting: each kind of case ends it, the others are as before ------------------------ */

struct waiter {
    pirn_channel *ch[3];
    int x, y, out, index, result;
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    pirn_case cases[] = {pirn_case_recv(w->ch[0], &w->x), pirn_case_send(w->ch[1], &w->out),
                         pirn_case_recv(w->ch[2], &w->y), pirn_case_recv(w->ch[0], &w->y)};
    w->index = pirn_select(cases, 4, PIRN_NEVER);
    w->result = w->index >= 0 ? cases[w->index].result : 0;
    return 0;
}

static int woken(void *arg)
{
    (void)arg;
    for (int i = 0; i < support_rounds(700); i++) {
        int how = i % 7, item = 55, before = -1, rc = 0;
        struct waiter w = {.x = -1, .y = -1, .out = 99, .index = 77};
        for (int k = 0; k < 3; k++)
            w.ch[k] = new_channel(0);
        pirn_task *task = support_spawn(waits, &w);
        support_until_waiting(task);
        switch (how) {
        case 0:
            rc = pirn_channel_try_send(w.ch[0], &item);
            break;
        case 1:
            CHECK_EQ(pirn_channel_try_recv(w.ch[1], &before), 1);
            CHECK_EQ(before, 99);
            break;
        case 2:
            rc = pirn_channel_try_send(w.ch[2], &item);
            break;
        case 3:
            rc = pirn_channel_close(w.ch[2], PIRN_CHANNEL_SEND);
            break;
        case 4:
            rc = pirn_channel_close(w.ch[1], PIRN_CHANNEL_RECV);
            break;
        case 5:
            rc = pirn_channel_close(w.ch[1], PIRN_CHANNEL_SEND);
            break;
        case 6:
            rc = pirn_cancel(task, NULL);
            break;
        }
        CHECK_OK(rc);
        CHECK_OK(support_join(task));
        static const int index[] = {0, 1, 2, 2, 1, 1, -ECANCELED};
        static const int result[] = {1, 0, 1, 0, -EPIPE, -EPIPE, 0};
        CHECK_EQ(w.index, index[how]);
        CHECK_EQ(w.result, result[how]);
        CHECK_EQ(w.x, how == 0 ? 55 : -1);
        CHECK_EQ(w.y, how == 2 ? 55 : -1);
        for (int k = 0; k < 3; k++) { /* nobody is left there */
            int rest = pirn_channel_try_send(w.ch[k], &item);
            CHECK(rest == -EAGAIN || rest == -EPIPE);
            rest = pirn_channel_try_recv(w.ch[k], &item);
            CHECK(rest == -EAGAIN || rest == -EPIPE || (rest == 0 && (how == 3 || how == 5)));
            pirn_channel_release(w.ch[k]);
        }
    }
    return 0;
}

START_TEST(a139_a_waiting_select_commits_one)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, woken, NULL));
}
END_TEST

/* ---- Selects that face each other -------------------------------------------------------- */

/* Each of them sends its own numbers through any of the channels and receives what comes, in one
 * select over all, for a number of turns. Nothing is lost or doubled. */
enum {
    MOST = 6
};

struct arena {
    pirn_channel *ch[3], *stop;
    int channels, players, sends; /* of each player */
    atomic_int playing;
    atomic_int *seen;
};

struct player {
    struct arena *a;
    int id;
};

static int play(void *arg)
{
    struct player *p = arg;
    struct arena *a = p->a;
    int sent = 0, in[3], out, nothing, next;
    for (;;) {
        pirn_case cases[7];
        int n = 0;
        bool mirrored = p->id % 2; /* the other way round */
        out = p->id * a->sends + sent;
        for (int k = 0; k < a->channels; k++) {
            int at = mirrored ? a->channels - 1 - k : k;
            cases[n++] = mirrored ? pirn_case_recv(a->ch[at], &in[at])
                                  : pirn_case_send(sent < a->sends ? a->ch[at] : NULL, &out);
            cases[n++] = mirrored ? pirn_case_send(sent < a->sends ? a->ch[at] : NULL, &out)
                                  : pirn_case_recv(a->ch[at], &in[at]);
        }
        cases[n++] = pirn_case_recv(a->stop, &nothing);
        int i = pirn_select(cases, (size_t)n, PIRN_NEVER);
        CHECK(i >= 0);
        if (i == n - 1)
            return 0;
        if (i % 2 == mirrored) {
            CHECK_OK(cases[i].result);
            if (++sent == a->sends && atomic_fetch_sub(&a->playing, 1) == 1)
                CHECK_OK(pirn_channel_close(a->stop, PIRN_CHANNEL_SEND));
        } else {
            CHECK_EQ(cases[i].result, 1);
            next = *(int *)cases[i].item;
            CHECK_EQ(atomic_fetch_add(&a->seen[next], 1), 0);
        }
    }
}

static void *play_on_thread(void *arg)
{
    return play(arg), NULL;
}

struct game {
    size_t capacity;
    int channels, tasks, threads, sends;
};

static int game(void *arg)
{
    const struct game *g = arg;
    struct arena a = {.stop = new_channel(0), .channels = g->channels, .sends = g->sends};
    struct player p[MOST];
    pirn_task *tasks[MOST];
    pthread_t threads[MOST];
    a.players = g->tasks + g->threads;
    atomic_store(&a.playing, a.players);
    a.seen = calloc((size_t)(a.players * a.sends), sizeof(*a.seen));
    CHECK(a.seen);
    for (int k = 0; k < g->channels; k++)
        a.ch[k] = new_channel(g->capacity);
    for (int i = 0; i < a.players; i++) {
        p[i] = (struct player){&a, i};
        if (i < g->tasks)
            tasks[i] = support_spawn(play, &p[i]);
        else
            threads[i] = support_thread(play_on_thread, &p[i]);
    }
    for (int i = 0; i < a.players; i++) {
        if (i < g->tasks)
            CHECK_OK(support_join(tasks[i]));
        else
            support_thread_join(threads[i]);
    }
    for (int k = 0; k < g->channels; k++) {
        for (int item; (item = get(a.ch[k])) >= 0;)
            CHECK_EQ(atomic_fetch_add(&a.seen[item], 1), 0);
        pirn_channel_release(a.ch[k]);
    }
    for (int i = 0; i < a.players * a.sends; i++)
        CHECK_EQ(atomic_load(&a.seen[i]), 1);
    free(a.seen);
    pirn_channel_release(a.stop);
    return 0;
}

START_TEST(a139_selects_that_face_each_other)
{
    static const struct game games[] = {
        {0, 2, 2, 0, 20000}, {0, 3, 6, 0, 10000}, {1, 3, 5, 0, 10000},
        {0, 2, 2, 2, 3000},  {2, 3, 3, 3, 2000},
    };
    FOR_WORKERS(w)
    for (int i = 0; i < 5; i++) {
        struct game g = games[i];
        g.sends = support_rounds(g.sends);
        CHECK_OK(support_run(w, game, &g));
    }
}
END_TEST

/* ---- Many ends at once --------------------------------------------------------------------- */

enum {
    ENDS = 8,
    CLOSERS = 2
};

struct ends {
    pirn_channel *senders[ENDS]; /* each the only one of its channel */
    support_barrier meet;
    atomic_int next; /* the next to be let go */
};

static void *lets_go(void *arg)
{
    struct ends *e = arg;
    int i;
    support_meet(&e->meet);
    while ((i = atomic_fetch_add(&e->next, 1)) < ENDS)
        pirn_channel_release(e->senders[i]);
    return NULL;
}

/* Waits on all that have not ended yet, through one deadline after another. */
static void hear_all(pirn_case *cases)
{
    for (int left = ENDS; left > 0;) {
        bool waits = support_between(0, 3) != 0;
        int i =
            pirn_select(cases, ENDS, waits ? PIRN_NEVER : pirn_after_us(support_between(0, 20)));
        if (i == -ETIMEDOUT && !waits)
            continue;
        CHECK(i >= 0 && cases[i].object != NULL);
        CHECK_EQ(cases[i].result, 0);
        cases[i].object = NULL; /* heard of */
        left--;
    }
}

static int ends_at_once(void *arg)
{
    int rounds = *(int *)arg, item = -1;
    for (int r = 0; r < rounds; r++) {
        struct ends e = {.meet = {.n = CLOSERS + 1}};
        pirn_channel *receivers[ENDS];
        pirn_case cases[ENDS];
        pthread_t threads[CLOSERS];
        for (int i = 0; i < ENDS; i++) {
            pirn_channel *both = new_channel((size_t)i % 3);
            CHECK_OK(pirn_channel_clone(both, PIRN_CHANNEL_SEND, &e.senders[i]));
            CHECK_OK(pirn_channel_clone(both, PIRN_CHANNEL_RECV, &receivers[i]));
            pirn_channel_release(both);
            cases[i] = pirn_case_recv(receivers[i], &item);
        }
        for (int i = 0; i < CLOSERS; i++)
            threads[i] = support_thread(lets_go, &e);
        support_meet(&e.meet);
        hear_all(cases);
        for (int i = 0; i < CLOSERS; i++)
            support_thread_join(threads[i]);
        for (int i = 0; i < ENDS; i++)
            pirn_channel_release(receivers[i]);
    }
    CHECK_EQ(item, -1);
    return 0;
}

START_TEST(a139_every_end_is_heard_of_once)
{
    int rounds = support_rounds(2000);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, ends_at_once, &rounds));
}
END_TEST

SUPPORT_MAIN("select", a139_one_caller, a139_no_case_starves, a139_a_waiting_select_commits_one,
             a139_selects_that_face_each_other, a139_every_end_is_heard_of_once)
