/* Free stacks that nobody has needed for long lose their top page, too; in simulated time. */
#include <pthread.h>
#include <unistd.h>

#include "tests/runtime/stacks.h"

#define S ((int64_t)1000000000)
#define MANY 3000

static struct stack *stacks[MANY];

static void take(int n)
{
    for (int i = 0; i < n; i++) {
        stacks[i] = get(0);
        stacks[i]->top[-1] = 1;
    }
}

static void put(int n)
{
    for (int i = 0; i < n; i++)
        pirn_stack_put(&pool, &cache, stacks[i]);
}

static size_t cold(void)
{
    return atomic_load(&pool.cold);
}

/* Pages of the slots, wherever their headers are. */
static size_t pages_of(char *const *bases, int n)
{
    size_t pages = 0;
    for (int i = 0; i < n; i++) {
        unsigned char in[4096];
        size_t size = PIRN_STACK_HEADROOM * PIRN_STACK_DEFAULT * PIRN_STACK_SCALE,
               k = size / pool.slabs.page;
        ck_assert_uint_le(k, sizeof(in));
        ck_assert_int_eq(mincore(bases[i], size, in), 0);
        while (k > 0)
            pages += in[--k] & 1;
    }
    return pages;
}

/* Looks until nothing is due; gives the time of the next one. */
static int64_t looks(int64_t now)
{
    int64_t next = pirn_stacks_decay(&pool, now);
    for (int i = 0; next == now; i++) {
        ck_assert_int_lt(i, 10000);
        next = pirn_stacks_decay(&pool, now);
    }
    return next;
}

START_TEST(what_is_not_needed_goes_and_comes_back)
{
    static char *bases[MANY];
    int64_t now = S;
    atomic_store(&pool.by_one, _i == 1);     /* before Linux 6.14 */
    ck_assert_int_eq(looks(now), INT64_MAX); /* nothing is free */
    take(MANY);
    for (int i = 0; i < MANY; i++)
        bases[i] = stacks[i]->low;
    struct stack *held = get(0); /* by somebody, all the while */
    memset(held->low, 7, (size_t)(held->top - held->low));
    put(MANY);
    size_t at_first = pages_of(bases, MANY), were_cold = cold();
    ck_assert_uint_ge(were_cold, MANY - 64 * MIB / stacks[0]->size - 2 * PIRN_STACK_CACHED);
    ck_assert_int_eq(looks(now), now + 10 * S);
    ck_assert_int_eq(looks(now + 9 * S), now + 10 * S);
    ck_assert_uint_eq(pages_of(bases, MANY), at_first); /* too early */

    now += 10 * S;
    ck_assert_int_eq(pirn_stacks_decay(&pool, now), now); /* not all at one look */
    ck_assert_uint_gt(cold(), 0);
    ck_assert_int_eq(looks(now), INT64_MAX);
    ck_assert_uint_eq(cold(), 0);
    ck_assert_uint_eq(free_stacks(), MANY); /* they are there still */
    size_t batches = (were_cold + PIRN_STACK_CACHED - 1) / PIRN_STACK_CACHED;
    ck_assert_uint_eq(pages_of(bases, MANY), at_first - were_cold + batches);
    ck_assert_int_eq(looks(now + 100 * S), INT64_MAX);

    take(MANY); /* each once, none new, and guarded */
    ck_assert_uint_eq(atomic_load(&pool.total), MANY + 1);
    ck_assert_uint_eq(free_stacks(), 0);
    for (int i = 0; i < MANY; i++) {
        struct stack *found;
        ck_assert(pirn_stack_guard_of(&pool, stacks[i]->low - 1, &found));
        ck_assert_ptr_eq(found, stacks[i]);
        memset(stacks[i]->low, 2, (size_t)(stacks[i]->top - stacks[i]->low));
    }
    size_t sound = 0;
    for (const char *at = held->low; at < held->top; at++)
        sound += *at == 7;
    ck_assert_uint_eq(sound, (size_t)(held->top - held->low));
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(stacks[i]->top[-1]++, 2);
    put(MANY);
}
END_TEST

START_TEST(what_was_needed_stays_for_another_window)
{
    int64_t now = S;
    take(MANY);
    put(MANY);
    size_t all = cold();
    ck_assert_int_eq(looks(now), now + 10 * S);
    take(1500); /* the warm ones, and some of the cold */
    size_t least = cold();
    ck_assert_uint_lt(least, all);
    put(1500);
    size_t then = cold();
    ck_assert_uint_gt(then, least);
    now += 10 * S;
    ck_assert_int_eq(looks(now), now + 10 * S);
    ck_assert_uint_le(cold(), then - least); /* a chain more at most than was due */
    ck_assert_uint_ge(cold() + PIRN_STACK_CACHED, then - least);
    now += 10 * S;
    ck_assert_int_eq(looks(now), INT64_MAX);
    ck_assert_uint_eq(cold(), 0);
    ck_assert_uint_eq(bound_stacks(), 0);
}
END_TEST

START_TEST(other_sizes_come_one_by_one)
{
    enum {
        N = 3000,
        SIZE = 64 * 1024 /* of a class that no worker has a cache of */
    };
    static struct stack *small[N];
    static struct stack *again[N];
    for (int round = 0; round < 3; round++) { /* batches that are left half full are filled up */
        for (int i = 0; i < N; i++)
            small[i] = get(SIZE / PIRN_STACK_SCALE + 1);
        for (int i = 0; i < N; i++)
            pirn_stack_put(&pool, &cache, small[i]);
        size_t were_cold = cold();
        ck_assert_uint_gt(were_cold, 0);
        looks(S);
        ck_assert_int_eq(looks(11 * S), INT64_MAX);
        ck_assert_uint_eq(cold(), 0);
        for (int i = 0; i < N / 2; i++)
            again[i] = get(SIZE / PIRN_STACK_SCALE + 1);
        for (int i = 0; i < N / 2; i++)
            pirn_stack_put(&pool, &cache, again[i]);
    }
    ck_assert_uint_eq(atomic_load(&pool.total), N);
    ck_assert_uint_eq(free_stacks(), N);
}
END_TEST

/* ---- Crowds come and go while the monitor gives up ------------------------------------------- */

enum {
    THREADS = 3,
    CROWD = 900 /* of each: together more than stay warm */
};

static atomic_bool over;
static atomic_int rounds_left, spoiled;

static void *crowds(void *arg)
{
    struct stack_cache mine = {0};
    static _Thread_local struct stack *have[CROWD];
    char mark = *(char *)arg, marks[1400];
    memset(marks, mark, sizeof(marks));
    while (atomic_fetch_sub(&rounds_left, 1) > 0) {
        for (int i = 0; i < CROWD; i++) {
            ck_assert_int_eq(pirn_stack_get(&pool, &mine, 0, &have[i]), 0);
            memcpy(have[i]->top - 1400, marks, 1400);
            have[i]->low[0] = mark;
        }
        for (int i = 0; i < CROWD; i++) {
            if (memcmp(have[i]->top - 1400, marks, 1400) != 0 || have[i]->low[0] != mark)
                atomic_fetch_add(&spoiled, 1);
            pirn_stack_put(&pool, &mine, have[i]);
        }
    }
    pirn_stack_cache_flush(&pool, &mine);
    return NULL;
}

static void *monitor(void *arg)
{
    int64_t now = S, *given_up = arg;
    while (!atomic_load(&over)) {
        size_t before = cold();
        if (pirn_stacks_decay(&pool, now) != now)
            now += 5 * S;
        *given_up += cold() < before;
        usleep(20);
    }
    return NULL;
}

START_TEST(crowds_race_with_it)
{
    pthread_t threads[THREADS], looker;
    char marks[THREADS];
    int64_t given_up = 0;
#if PIRN_STACK_SANITIZED || defined(PIRN_HARD)
    atomic_store(&rounds_left, 60);
#else
    atomic_store(&rounds_left, 600);
#endif
    ck_assert_int_eq(pthread_create(&looker, NULL, monitor, &given_up), 0);
    for (int i = 0; i < THREADS; i++) {
        marks[i] = (char)(i + 1);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, crowds, &marks[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&over, true);
    pthread_join(looker, NULL);
    printf("stacks=%zu given_up=%lld\n", atomic_load(&pool.total), (long long)given_up);
    ck_assert_int_eq(atomic_load(&spoiled), 0);
    ck_assert_uint_eq(bound_stacks(), 0);
    looks((int64_t)1 << 60);
    looks(((int64_t)1 << 60) + 10 * S);
    /* Every one is there, once. */
    size_t n = atomic_load(&pool.total);
    struct stack **all = malloc(n * sizeof(*all));
    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < n; i++) {
        all[i] = get(0);
        all[i]->top[-1] = 0;
    }
    ck_assert_uint_eq(atomic_load(&pool.total), n);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(all[i]->top[-1]++, 0);
    free(all);
}
END_TEST

int main(void)
{
    TCase *cases = stacks_case();
    tcase_add_loop_test(cases, what_is_not_needed_goes_and_comes_back, 0, 2);
    tcase_add_test(cases, what_was_needed_stays_for_another_window);
    tcase_add_test(cases, other_sizes_come_one_by_one);
    tcase_add_test(cases, crowds_race_with_it);
    return cases_main("stack_decay", cases);
}
