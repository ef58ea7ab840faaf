/*
 * A counter that two coroutines count up and down a million times: 0 remains.
 *
 * Python needs no lock for it, as long as nobody awaits in between: one thread runs everything. In
 * parallel that is a data race (s258_counter_race.c). Here are the three ways to have it right:
 *
 *   an atomic counter        for a single number
 *   a mutex                  for whatever belongs together
 *   both on one strand       asyncio's way: never in parallel with each other, and nothing to be
 *                            locked
 */
#include <stdatomic.h>

#include "seeds.h"

enum {
    TIMES = 1000000
};

static atomic_int atomic_counter;
static int locked_counter, strand_counter;
static pirn_mutex lock = PIRN_MUTEX_INIT;

static int count_atomically(void *arg)
{
    const int *by = arg;
    for (int i = 0; i < TIMES; i++)
        atomic_fetch_add_explicit(&atomic_counter, *by, memory_order_relaxed);
    return 0;
}

static int count_locked(void *arg)
{
    const int *by = arg;
    for (int i = 0; i < TIMES; i++) {
        int err = pirn_mutex_lock(&lock, PIRN_NEVER);
        if (err < 0)
            return err;
        locked_counter += *by;
        pirn_mutex_unlock(&lock);
    }
    return 0;
}

static int count_on_a_strand(void *arg)
{
    const int *by = arg;
    for (int i = 0; i < TIMES; i++)
        strand_counter += *by;
    return 0;
}

/* fn(+1) and fn(-1), on the strand if there is one. */
static void up_and_down(pirn_fn fn, pirn_strand *strand)
{
    static int by[2] = {+1, -1};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *tasks[2];
    config.strand = strand;
    for (int i = 0; i < 2; i++)
        must(pirn_spawn_with(&tasks[i], &config, fn, &by[i]));
    for (int i = 0; i < 2; i++)
        must(pirn_join(tasks[i], NULL, PIRN_NEVER));
}

static int start(void *arg)
{
    pirn_strand *strand;
    (void)arg;
    up_and_down(count_atomically, NULL);
    printf("atomic: %d\n", atomic_load(&atomic_counter));

    up_and_down(count_locked, NULL);
    printf("locked: %d\n", locked_counter);

    must(pirn_strand_new(&strand));
    up_and_down(count_on_a_strand, strand);
    pirn_strand_release(strand);
    printf("on a strand: %d\n", strand_counter);
    return 0;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
