/*
 * What a coroutine keeps in memory: parked in a sleep, or in a recv with a deadline, one page of
 * its stack wherever its top lies in that, and less than 4.5 KiB with all there is to it; less than
 * 300 bytes if it has never run.
 */
#include "tests/support.h"

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>

#include "runtime/stack.h"
#include "runtime/task.h"

enum {
    EACH_COLOUR = 4 * PIRN_STACK_COLOURS,
    PARKED = 20000,
    UNSTARTED = 100000,
    PARKED_MOST = 4608, /* bytes */
    UNSTARTED_MOST = 300
};

struct row {
    pirn_fn fn;
    int fds[2];
    atomic_int began, over;
    struct stack *stacks[EACH_COLOUR];
};

static struct row row;

static void note_stack(void)
{
    int i = atomic_fetch_add(&row.began, 1);
    if (i < EACH_COLOUR)
        row.stacks[i] = task_of(pirn_current())->stack;
}

static int sleeps(void *arg)
{
    (void)arg;
    note_stack();
    return pirn_sleep(pirn_after_s(1000));
}

static int receives(void *arg)
{
    char c;
    (void)arg;
    note_stack();
    return (int)pirn_recv(row.fds[0], &c, 1, 0, pirn_after_s(1000));
}

static pirn_task **park(int n)
{
    pirn_task **tasks = calloc((size_t)n, sizeof(*tasks));
    CHECK(tasks);
    atomic_store(&row.began, 0);
    for (int i = 0; i < n; i++)
        tasks[i] = support_spawn(row.fn, NULL);
    for (int i = 0; i < n; i++)
        support_until_waiting(tasks[i]);
    CHECK_EQ(atomic_load(&row.began), n);
    return tasks;
}

static void unpark(pirn_task **tasks, int n)
{
    for (int i = 0; i < n; i++)
        CHECK_OK(pirn_cancel(tasks[i], NULL));
    for (int i = 0; i < n; i++)
        CHECK_EQ(support_join(tasks[i]), -ECANCELED);
    free(tasks);
}

/* ---- Pages ------------------------------------------------------------------------------- */

static int resident_pages(const struct stack *stack)
{
    unsigned char pages[1024];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = stack->size / page;
    int count = 0;
    CHECK(n <= sizeof(pages));
    CHECK_OK(mincore(stack->low, stack->size, pages));
    for (size_t i = 0; i < n; i++)
        count += pages[i] & 1;
    return count;
}

/*
 * The dynamic linker looks a function up at its first call, on the stack of who calls: 3 KiB, and
 * now and then a second page. So of the four stacks of a colour the least counts.
 */
static int at_each_colour(void *arg)
{
    int least[PIRN_STACK_COLOURS];
    (void)arg;
    memset(least, 0x7f, sizeof(least));
    pirn_task **tasks = park(EACH_COLOUR);
    for (int i = 0; i < EACH_COLOUR; i++) {
        const struct stack *stack = row.stacks[i];
        ptrdiff_t colour = ((const char *)stack - stack->top) / PIRN_STACK_COLOUR_STEP;
        int pages = resident_pages(stack);
        least[colour] = pages < least[colour] ? pages : least[colour];
    }
    for (int i = 0; i < PIRN_STACK_COLOURS; i++)
        CHECK_EQ(least[i], 1); /* and each was there */
    unpark(tasks, EACH_COLOUR);
    return 0;
}

/* ---- Bytes ------------------------------------------------------------------------------- */

/* What an earlier test has freed is not used again unseen. */
static long resident_bytes(void)
{
    malloc_trim(0);
    return support_resident();
}

static int bytes_parked(void *arg)
{
    (void)arg;
    long before = resident_bytes();
    pirn_task **tasks = park(PARKED);
    long each = (resident_bytes() - before - PARKED * (long)sizeof(*tasks)) / PARKED;
    printf("%ld bytes for each that is parked\n", each);
    CHECK_LE(each, PARKED_MOST);
    unpark(tasks, PARKED);
    return 0;
}

static int spins(void *arg)
{
    (void)arg;
    atomic_store(&row.began, 1);
    while (!atomic_load(&row.over)) {}
    return 0;
}

static int runs(void *arg)
{
    (void)arg;
    atomic_fetch_add(&row.began, 1);
    return 0;
}

/* Main and a spinner hold the one worker and its only substitute. (If main has to wait for memory,
 * or for its core, longer than the monitor does, another substitute comes; then once more.) */
static int bytes_unstarted(void *arg)
{
    static pirn_task *tasks[UNSTARTED];
    (void)arg;
    atomic_store(&row.began, 0);
    atomic_store(&row.over, 0);
    memset(tasks, 1, sizeof(tasks)); /* it is there before */
    pirn_task *spinner = support_spawn(spins, NULL);
    while (!atomic_load(&row.began)) {}
    long before = resident_bytes();
    for (int i = 0; i < UNSTARTED; i++)
        tasks[i] = support_spawn(runs, NULL);
    long each = (resident_bytes() - before) / UNSTARTED;
    bool none_has_begun = atomic_load(&row.began) == 1;
    atomic_store(&row.over, 1);
    if (none_has_begun) {
        printf("%ld bytes for each that has not begun\n", each);
        CHECK_LE(each, UNSTARTED_MOST);
    }
    for (int i = 0; i < UNSTARTED; i++)
        CHECK_OK(support_join(tasks[i]));
    CHECK_OK(support_join(spinner));
    CHECK_EQ(atomic_load(&row.began), UNSTARTED + 1);
    return none_has_begun ? 0 : -EAGAIN;
}

/* ---- The tests --------------------------------------------------------------------------- */

static void parked_in(pirn_fn fn)
{
    if (support_asan() || support_tsan())
        return; /* their frames are larger, and there is a shadow to everything */
    row.fn = fn;
    support_pair(row.fds);
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, at_each_colour, NULL));
    CHECK_OK(support_run(2, bytes_parked, NULL));
    close(row.fds[0]);
    close(row.fds[1]);
}

START_TEST(parked_in_a_sleep)
{
    parked_in(sleeps);
}
END_TEST

START_TEST(parked_in_recv)
{
    parked_in(receives);
}
END_TEST

START_TEST(not_started)
{
    if (support_asan() || support_tsan())
        return;
    int rc;
    while ((rc = support_run(1, bytes_unstarted, NULL)) == -EAGAIN) {}
    CHECK_OK(rc);
}
END_TEST

SUPPORT_MAIN("footprint", parked_in_a_sleep, parked_in_recv, not_started)
