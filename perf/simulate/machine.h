/*
 * The simulated machine: processors with a clock each, the cache lines they pass to each other, and
 * sleep. What is assumed of it, with where each number comes from, stands in assumptions.h.
 *
 * A thread of the program has a processor for itself and is never preempted. All of them run on one
 * real thread, as coroutines, one at a time: at every access to memory a processor's clock goes on,
 * and when it has got ahead of another's, that one is switched to. Nothing is random and nothing is
 * real time, so a run is repeated exactly.
 */
#ifndef PIRN_PERF_MACHINE_H
#define PIRN_PERF_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CPUS_MAX = 512, /* workers, spares, monitor, main, and whatever else becomes a thread */
    LINE_BITS = 6,
    KNOWN_LINES = 512
};

enum access {
    ACCESS_READ,
    ACCESS_WRITE,  /* waits for its line in a store buffer, and nobody for it */
    ACCESS_MODIFY, /* an atomic read-modify-write: waits for its line and for all earlier stores */
};

struct line;

/* Times are in ps. */
struct cpu {
    int64_t now;
    unsigned index;
    bool asleep, in_time; /* in_time: it woke because its time had come */
    bool over;
    void *sp;
    int64_t stores_done; /* when its last store has its line */
    int64_t interrupts;  /* time they took, not yet on its clock */
    int64_t slept_at, idle;
    int64_t key;    /* among those that will run: when */
    unsigned place; /* there, from 1; 0: not among them */
    const void *waits_for;
    void *(*fn)(void *arg);
    void *arg;
    struct {
        uint64_t tag;
        struct line *line;
    } known[KNOWN_LINES]; /* where the lines it touched last are kept */
};

extern struct cpu *machine_me; /* whose program is running */
extern int64_t machine_ahead;  /* how far its clock may go before another's turn comes */
/* The caller becomes the first processor. A further one, that runs fn(arg) from now on. */
void machine_begin(void);
struct cpu *machine_start(void *(*fn)(void *arg), void *arg);

/* The caller's clock goes on. */
void machine_spend(int64_t ns);
/* The caller sleeps until woken, or until a time in ps (INT64_MAX: for ever). True: woken. */
bool machine_sleep(const void *waits_for, int64_t until);
/* Ends the sleep of a processor, at that time; its clock was behind. */
void machine_wake(struct cpu *cpu, int64_t at);
/* A sleeper that waits for that, the lowest first; NULL: none. */
struct cpu *machine_sleeper(const void *waits_for);
/* Interrupts all processors but the caller's that do not sleep; how many. */
unsigned machine_interrupt_others(int64_t ns);
/* Others are given their turns until the caller's clock is behind all of theirs. */
void machine_in_order(void);
/* Time that all processors have spent awake so far; a processor's; processors so far. */
int64_t machine_busy_ps(void);
int64_t machine_busy_of(const struct cpu *cpu);
struct cpu *machine_cpu(unsigned index);
unsigned machine_cpus(void);

/* lines.c: an access to memory takes its time. */
void machine_touch(uintptr_t address, unsigned bytes, enum access access);
/* All earlier stores of the caller have their lines. */
void machine_fence(void);
/* From now on it is counted how long lines are waited for; each line that was, with the time in
 * ps. */
void machine_lines_begin(void);
void machine_each_line(void (*fn)(uintptr_t line, int64_t ps));

static inline int64_t machine_now_ns(void)
{
    return machine_me->now / 1000;
}

#endif
