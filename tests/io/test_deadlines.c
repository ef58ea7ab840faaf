/* The deadlines of a port beside a list that is searched from end to end: whatever is pushed, taken
 * out or has come, the first one is the first. */
/* serial */
#include "io/deadlines.h"
#include <time.h>

#include "tests/support.h"

enum {
    ROUNDS = 3000, /* each from another seed */
    STEPS = 400,
    MOST = 120
};

static int allocs_left = INT32_MAX;

static void *alloc(void *user, size_t bytes)
{
    (void)user;
    return allocs_left-- > 0 ? malloc(bytes) : NULL;
}

static void give_back(void *user, void *ptr)
{
    (void)user;
    free(ptr);
}

static const struct mem mem = {alloc, give_back, NULL};

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 20;
}

struct model {
    struct deadlines d;
    struct op *ops[MOST];
    int count;
    int64_t now;
    uint64_t seed;
};

static int64_t model_first(const struct model *m)
{
    int64_t first = INT64_MAX;
    for (int i = 0; i < m->count; i++)
        first = m->ops[i]->deadline < first ? m->ops[i]->deadline : first;
    return first;
}

/* Of all lengths: some equal, some past, most near, some in hours, and some as late as can be. */
static int64_t some_deadline(struct model *m)
{
    static const int64_t spans[] = {1, 1000, 3 << 20, 1 << 26, 1ll << 33, 1ll << 36, 1ll << 45};
    uint64_t r = next_random(&m->seed);
    if (r % 50 == 0)
        return r % 100 ? INT64_MAX - 1 - (int64_t)(r / 100 % 3) : (int64_t)(r / 100 % 3) - 1;
    if (r % 5 == 0 && m->count != 0)
        return m->ops[r / 5 % (uint64_t)m->count]->deadline;
    int64_t span = spans[r / 5 % (sizeof(spans) / sizeof(spans[0]))];
    return m->now + (int64_t)(next_random(&m->seed) % (uint64_t)span);
}

static struct op *first_op(const struct deadlines *d)
{
    uintptr_t word = atomic_load(&deadline_node(d, d->root)->word);
    CHECK_EQ(word & DEADLINE_DROPPED, 0);
    return (struct op *)(word & ~(uintptr_t)DEADLINE_DROPPABLE);
}

static void push(struct model *m, int64_t deadline)
{
    struct op *op = calloc(1, sizeof(*op));
    CHECK(op != NULL);
    op->kind = next_random(&m->seed) % 2 ? OP_CALL : OP_RECV;
    CHECK_OK(pirn_deadlines_reserve(&m->d, &mem));
    op->deadline = deadline;
    pirn_deadlines_push(&m->d, op);
    CHECK(op->node != 0);
    m->ops[m->count++] = op;
}

static void forget(struct model *m, struct op *op)
{
    int i = 0;
    while (m->ops[i] != op)
        CHECK(++i < m->count);
    m->ops[i] = m->ops[--m->count];
    memset(op, 0xa5, sizeof(*op));
    free(op);
}

static void take_out(struct model *m, struct op *op)
{
    pirn_deadlines_remove(&m->d, op);
    CHECK_EQ(op->node, 0);
    forget(m, op);
}

/* As a cancel does; one in four is pushed again at once. */
static void drop(struct model *m, struct op *op)
{
    CHECK(pirn_deadline_drop(op));
    CHECK(!pirn_deadline_drop(op));
    atomic_fetch_add(&m->d.dropped_own, 1);
    if (next_random(&m->seed) % 4 == 0) {
        pirn_deadlines_remove(&m->d, op);
        CHECK_OK(pirn_deadlines_reserve(&m->d, &mem));
        op->deadline = some_deadline(m);
        pirn_deadlines_push(&m->d, op);
    } else {
        forget(m, op);
    }
}

static void check(struct model *m)
{
    while (pirn_deadlines_first_is_droppable(&m->d) && pirn_deadlines_pop_dropped(&m->d))
        continue;
    CHECK_EQ(pirn_deadlines_first(&m->d), model_first(m));
    uint32_t dropped = atomic_load(&m->d.dropped_own) - atomic_load(&m->d.dropped_gone);
    CHECK_EQ(m->d.near + m->d.far, (uint32_t)m->count + dropped);
}

static void walk(uint64_t seed)
{
    struct model m = {.now = 1ll << 44, .seed = seed * 2 + 1};
    unsigned grows = (unsigned)(next_random(&m.seed) % 3); /* how full it tends to be */
    CHECK_OK(pirn_deadlines_init(&m.d, &mem));
    for (int step = 0; step < STEPS; step++) {
        unsigned what = (unsigned)(next_random(&m.seed) % 8);
        if (next_random(&m.seed) % 64 == 0)
            pirn_deadlines_sweep(&m.d);
        if (m.count < MOST && (m.count == 0 || what < 3 + grows)) {
            push(&m, some_deadline(&m));
        } else if (what < 7) {
            struct op *op = m.ops[next_random(&m.seed) % (uint64_t)m.count];
            if (op->kind == OP_CALL && next_random(&m.seed) % 4 != 0)
                drop(&m, op);
            else
                take_out(&m, op);
        } else { /* time passes, to the next one or by a leap */
            int64_t first = pirn_deadlines_first(&m.d);
            m.now = next_random(&m.seed) % 2 && first < INT64_MAX / 2 && first > m.now
                        ? first
                        : m.now + (1 << 23);
            while (pirn_deadlines_first(&m.d) <= m.now) {
                struct op *op = pirn_deadlines_pop(&m.d);
                if (op != NULL) {
                    CHECK_EQ(op->node, 0);
                    CHECK_EQ(op->deadline, model_first(&m));
                    CHECK(!pirn_deadline_drop(op));
                    forget(&m, op);
                }
            }
        }
        check(&m);
    }
    while (m.count != 0) {
        take_out(&m, first_op(&m.d));
        check(&m);
    }
    CHECK_EQ(m.d.near, 0);
    pirn_deadlines_destroy(&m.d, &mem);
}

START_TEST(the_first_is_the_first)
{
    for (int round = support_rounds(ROUNDS); round > 0; round--)
        walk((uint64_t)round);
}
END_TEST

/* ---- Many of them: in order, each once, and nothing large to be done at once ----------------- */

enum {
    MANY = 50000
};

static void fill(struct deadlines *d, struct op *ops, int64_t base, int64_t span)
{
    for (int i = 0; i < MANY; i++) {
        CHECK_OK(pirn_deadlines_reserve(d, &mem));
        ops[i] = (struct op){.deadline = base + (int64_t)i * 7919 % MANY * (span / MANY)};
        pirn_deadlines_push(d, &ops[i]);
    }
}

static void many(bool far_first)
{
    struct deadlines d;
    struct op *ops = calloc(MANY, sizeof(*ops)), lone = {.deadline = INT64_MAX / 2};
    CHECK(ops != NULL);
    CHECK_OK(pirn_deadlines_init(&d, &mem));
    if (far_first)
        pirn_deadlines_push(&d, &lone);
    fill(&d, ops, 1ll << 44, 40ll * 1000000000); /* more than two rounds of the buckets */
    if (!far_first)
        pirn_deadlines_push(&d, &lone);
    CHECK_LE(d.near, DEADLINES_DRAW_AT);
    for (int i = 0; i < MANY; i++)
        if (i % 10)
            pirn_deadlines_remove(&d, &ops[i]);
    int64_t last = 0;
    for (int n = 0; n < MANY / 10; n++) {
        struct op *op = first_op(&d);
        CHECK_GE(op->deadline, last);
        CHECK_LE(d.near, DEADLINES_DRAW_AT);
        last = op->deadline;
        pirn_deadlines_remove(&d, op);
    }
    CHECK_EQ(d.near + d.far, 1);
    CHECK(first_op(&d) == &lone);
    pirn_deadlines_remove(&d, &lone);
    CHECK_EQ(pirn_deadlines_first(&d), INT64_MAX);
    pirn_deadlines_destroy(&d, &mem);
    free(ops);
}

START_TEST(many_are_in_order_and_few_are_near)
{
    many(false);
    many(true);
}
END_TEST

/* Whether near ones, or poured. */
START_TEST(equal_ones_come_as_they_were_pushed)
{
    for (int far = 0; far < 2; far++) {
        struct deadlines d;
        struct op *ops = calloc(MANY, sizeof(*ops)), sooner = {.deadline = 0};
        int in_turn = 0;
        CHECK(ops != NULL);
        CHECK_OK(pirn_deadlines_init(&d, &mem));
        if (far)
            pirn_deadlines_push(&d, &sooner);
        for (int i = 0; i < MANY; i++) {
            CHECK_OK(pirn_deadlines_reserve(&d, &mem));
            ops[i] = (struct op){.deadline = 1ll << 44};
            pirn_deadlines_push(&d, &ops[i]);
        }
        if (far)
            pirn_deadlines_remove(&d, &sooner);
        for (const struct op *before = NULL; d.near != 0;) {
            struct op *op = first_op(&d);
            in_turn += before != NULL && op == before + 1;
            pirn_deadlines_remove(&d, op);
            before = op;
        }
        CHECK_EQ(in_turn, MANY - 1);
        pirn_deadlines_destroy(&d, &mem);
        free(ops);
    }
}
END_TEST

/* The heap has grown, and is drawn back to a slot whose deadlines have all been dropped. */
START_TEST(drawn_back_to_what_has_been_dropped)
{
    struct op ops[DEADLINES_DRAW_AT], late = {.deadline = INT64_MAX / 2};
    const int64_t base = 1ll << 44, next = base + (10 << DEADLINES_SLOT_BITS);
    struct deadlines d;
    CHECK_OK(pirn_deadlines_init(&d, &mem));
    pirn_deadlines_push(&d, &late);
    for (int i = 0; i < DEADLINES_DRAW_AT - 1; i++) {
        bool last = i == DEADLINES_DRAW_AT - 2;
        ops[i] = (struct op){.deadline = last ? next : base, .kind = OP_CALL};
        pirn_deadlines_push(&d, &ops[i]);
        if (!last)
            CHECK(pirn_deadline_drop(&ops[i]));
    }
    CHECK_EQ(d.near + d.far, 2);
    CHECK_EQ(pirn_deadlines_first(&d), next);
    pirn_deadlines_remove(&d, &ops[DEADLINES_DRAW_AT - 2]);
    CHECK_EQ(pirn_deadlines_first(&d), late.deadline);
    pirn_deadlines_destroy(&d, &mem);
}
END_TEST

/* However many there are before the next one: not all are taken out at once. */
START_TEST(dropped_ones_are_passed_over_by_and_by)
{
    struct deadlines d;
    struct op *ops = calloc(MANY, sizeof(*ops)), first = {.deadline = 1}, last;
    CHECK(ops != NULL);
    for (int wide = 0; wide < 2; wide++) {
        int slots = wide ? MANY : 1;
        CHECK_OK(pirn_deadlines_init(&d, &mem));
        pirn_deadlines_push(&d, &first);
        last = (struct op){.deadline = INT64_MAX / 2};
        pirn_deadlines_push(&d, &last);
        for (int i = 0; i < MANY; i++) {
            CHECK_OK(pirn_deadlines_reserve(&d, &mem));
            ops[i] = (struct op){.kind = OP_CALL};
            ops[i].deadline = (1ll << 44) + ((int64_t)(i % slots) << DEADLINES_SLOT_BITS);
            pirn_deadlines_push(&d, &ops[i]);
        }
        for (int i = 0; i < MANY; i++)
            CHECK(pirn_deadline_drop(&ops[i]));
        pirn_deadlines_remove(&d, &first);
        CHECK_LE(d.dropped_gone, DEADLINES_DROPPED);
        while (pirn_deadlines_first(&d) != last.deadline) {
            uint32_t gone = d.dropped_gone;
            CHECK(pirn_deadlines_pop_dropped(&d));
            CHECK_LE(d.dropped_gone - gone, DEADLINES_DROPPED + 1);
        }
        CHECK_EQ(d.near + d.far, 1);
        pirn_deadlines_destroy(&d, &mem);
    }
    free(ops);
}
END_TEST

/* There is no memory, but what has been dropped, far fewer than are swept up otherwise. */
START_TEST(dropped_ones_come_before_no_memory)
{
    struct deadlines d;
    struct op live = {.deadline = 1}, op;
    CHECK_OK(pirn_deadlines_init(&d, &mem));
    pirn_deadlines_push(&d, &live);
    allocs_left = 0;
    for (int i = 0; i < MANY; i++) {
        CHECK_OK(pirn_deadlines_reserve(&d, &mem));
        op = (struct op){.kind = OP_CALL, .deadline = (1ll << 44) + i};
        pirn_deadlines_push(&d, &op);
        CHECK(pirn_deadline_drop(&op));
        d.dropped_own++;
    }
    CHECK_EQ(d.names, DEADLINES_CHUNK);
    allocs_left = INT32_MAX;
    pirn_deadlines_destroy(&d, &mem);
}
END_TEST

/* However they lie among those that stay: in the end there is no more memory than twice what there
 * has to be, and what is looked through in one go, twice. */
START_TEST(dropped_ones_are_found_wherever_they_are)
{
    enum {
        LIVE = 4 * MANY,
        AT_MOST = 2 * LIVE + (2 * 64 + 2) * DEADLINES_CHUNK
    };
    struct deadlines d;
    struct op *ops = calloc(LIVE, sizeof(*ops)), op;
    CHECK(ops != NULL);
    CHECK_OK(pirn_deadlines_init(&d, &mem));
    for (int i = 0; i < LIVE; i++) {
        CHECK_OK(pirn_deadlines_reserve(&d, &mem));
        ops[i] = (struct op){.deadline = i};
        pirn_deadlines_push(&d, &ops[i]);
    }
    for (int i = 0; i < support_rounds(400) * MANY; i++) {
        CHECK_OK(pirn_deadlines_reserve(&d, &mem));
        op = (struct op){.kind = OP_CALL, .deadline = (1ll << 44) + i};
        pirn_deadlines_push(&d, &op);
        CHECK(pirn_deadline_drop(&op));
        d.dropped_own++;
    }
    CHECK_LE(d.names, AT_MOST);
    pirn_deadlines_destroy(&d, &mem);
    free(ops);
}
END_TEST

/* ---- All but the last cancelled: what each bucket says of its first is wrong, in no order ---- */

START_TEST(a_cancel_does_not_look_through_all_buckets_for_each)
{
    enum {
        BOUND = 2 * DEADLINES_BUCKETS /* 3,438 seen; 111,735 when all were looked through */
    };
    static struct op late[DEADLINES_BUCKETS];
    struct deadlines d;
    struct op *ops = calloc(MANY, sizeof(*ops));
    const int64_t base = 1ll << 44, span = 12 * 3600 * 1000 * MS;
    uint64_t seed = 5;
    CHECK(ops != NULL);
    CHECK_OK(pirn_deadlines_init(&d, &mem));
    for (int i = 0; i < MANY + DEADLINES_BUCKETS; i++) {
        struct op *op = i < MANY ? &ops[i] : &late[i - MANY];
        CHECK_OK(pirn_deadlines_reserve(&d, &mem));
        op->deadline = i < MANY ? base + (int64_t)(next_random(&seed) % (uint64_t)span)
                                : base + 2 * span + ((int64_t)i << DEADLINES_SLOT_BITS);
        pirn_deadlines_push(&d, op);
    }
    uint32_t most = 0;
    for (int i = 0; i < MANY; i++) {
        uint32_t before = d.looks;
        pirn_deadlines_remove(&d, &ops[i]);
        most = d.looks - before > most ? d.looks - before : most;
    }
    if (getenv("PIRN_TEST_VERBOSE") != NULL)
        printf("the dearest cancel: %u looks\n", most);
    CHECK_LE(most, BOUND);
    for (int i = 0; i < DEADLINES_BUCKETS; i++) {
        CHECK(first_op(&d) == &late[i]);
        pirn_deadlines_remove(&d, &late[i]);
    }
    CHECK_EQ(pirn_deadlines_first(&d), INT64_MAX);
    pirn_deadlines_destroy(&d, &mem);
    free(ops);
}
END_TEST

/* Nodes are used again: a deadline that is moved a million times wants the memory of one. */
START_TEST(nodes_are_used_again)
{
    struct deadlines d;
    struct op op = {.deadline = 1};
    CHECK_OK(pirn_deadlines_init(&d, &mem));
    for (int i = 0; i < 1000000; i++) {
        CHECK_OK(pirn_deadlines_reserve(&d, &mem));
        op.deadline = (int64_t)i * 1000003;
        pirn_deadlines_push(&d, &op);
        CHECK_EQ(pirn_deadlines_first(&d), op.deadline);
        pirn_deadlines_remove(&d, &op);
    }
    CHECK_EQ(d.names, 1);
    pirn_deadlines_destroy(&d, &mem);
}
END_TEST

START_TEST(without_memory_nothing_is_lost)
{
    struct deadlines d;
    struct op *ops = calloc(MANY, sizeof(*ops));
    int n = 0;
    CHECK(ops != NULL);
    for (int left = 0; left < 3; left++) {
        allocs_left = left;
        CHECK_EQ(pirn_deadlines_init(&d, &mem), -ENOMEM);
    }
    allocs_left = 20;
    CHECK_OK(pirn_deadlines_init(&d, &mem));
    while (pirn_deadlines_reserve(&d, &mem) == 0) {
        ops[n] = (struct op){.deadline = (int64_t)(MANY - n) << 20};
        pirn_deadlines_push(&d, &ops[n++]);
    }
    CHECK_GE(n, DEADLINES_CHUNK);
    CHECK_EQ(pirn_deadlines_reserve(&d, &mem), -ENOMEM);
    for (int i = n - 1; i >= 0; i--) { /* to the end without any more of it */
        CHECK(first_op(&d) == &ops[i]);
        pirn_deadlines_remove(&d, &ops[i]);
        CHECK_OK(pirn_deadlines_reserve(&d, &mem));
    }
    allocs_left = INT32_MAX;
    pirn_deadlines_destroy(&d, &mem);
    free(ops);
}
END_TEST

SUPPORT_MAIN("deadlines", dropped_ones_come_before_no_memory,
             dropped_ones_are_found_wherever_they_are, drawn_back_to_what_has_been_dropped,
             dropped_ones_are_passed_over_by_and_by, the_first_is_the_first,
             many_are_in_order_and_few_are_near, equal_ones_come_as_they_were_pushed,
             a_cancel_does_not_look_through_all_buckets_for_each, nodes_are_used_again,
             without_memory_nothing_is_lost)
