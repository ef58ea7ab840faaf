/*
 * What is simulated, what is real, and every assumption.
 *
 * Real: the library. All of sched/ and runtime/, the port and its deadlines (io/), spawns, waits,
 * channels (api/) are compiled a second time, as they stand, as if for ThreadSanitizer: a call
 * comes before each access to memory (instrument.c). So the run queues, the biased lock, the inject
 * queues, the idle set, whom a thief looks at, when a worker gives up and parks, the pace, the
 * monitor and its spares, the task's descriptors and stacks are no model of them. The loads
 * (loads.c) are programs on the public interface, and so are the rows of bench that are compiled in
 * to compare with (perf/bench).
 *
 * Modelled: the machine below. Threads have a processor each (machine.c); lines pass between caches
 * (lines.c); futexes, mutexes, clocks, membarrier (kernel.c); a ring that is only slept in
 * (ring.c).
 *
 * Assumed
 *   - Every thread has a processor of its own: workers, monitor, spares. Nobody is preempted.
 *   - Instructions take step_ps for each access to memory that they make, whatever stands in
 *     between. One number for all; the head of main.c says how far off that is. No branch is
 *     mispredicted.
 *   - Caches have room for everything: a line leaves one only when somebody else writes it.
 *     Prefetches do nothing, malloc costs malloc_ns, never waits and returns warm memory.
 *   - A line makes one transfer at a time, in the order in which they are asked for; readers of a
 *     line that nobody writes follow each other by read_ns.
 *   - A plain store does not wait for its line (a store buffer of any length); a read-modify-write
 *     and a full fence wait for all stores before them. Memory is sequentially consistent
 *     otherwise.
 *   - Two kinds of distance: within cpus_near processors, and beyond (a second socket).
 *   - A task's work is time alone: it touches no memory.
 *   - Clocks of processors that share nothing may be apart by LEAD_PS for a moment.
 */
#ifndef PIRN_PERF_ASSUMPTIONS_H
#define PIRN_PERF_ASSUMPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PS = 1000, /* in a ns */
    LEAD_PS = 50 * PS
};

/* Where a number comes from: m, measured on two cores of a virtual machine (EPYC, family 26, which
 * share no part of the L3 cache), medians; f, fitted there; l, literature; g, a guess. */
struct assumptions {
    int64_t step_ps;   /* f: rows spawn, yield and pingpong on one worker */
    int64_t atomic_ps; /* m: fetch_add on a line of one's own, in a loop, 5.0 ns */
    /* m: a word thrown to and fro takes 235 ns one way: two transfers, as the writer has to
     * take the line back first. Between chiplets of a socket elsewhere, too: some 100 ns for EPYC
     * (l: chipsandcheese.com, "Core to Core Latency Data on Large Systems"); within a chiplet 20 to
     * 30, so this is the dear case. */
    int64_t line_ns;
    int64_t far_line_ns; /* l: the same, two sockets: about twice that */
    int64_t cpus_near;   /* g: a socket of 128 */
    int64_t read_ns;     /* g */
    int64_t pause_ns;    /* m */
    int64_t clock_ns;    /* m */
    int64_t malloc_ns;   /* m: malloc and free 66 ns, of 1,000 blocks at once */
    int64_t call_ns;     /* m: a system call that does nothing */
    int64_t
        wake_ns; /* m: from a wake-up's call to its sleeper running, bare futex 2.9 to 3.6 us (row
                            wake) */
    int64_t wake_call_ns;   /* g: of that, what the waker does itself */
    int64_t sleep_ns;       /* g: going to sleep in the ring */
    int64_t timer_ns;       /* g: from a deadline to the sleeper running */
    int64_t fence_ns;       /* m: membarrier while no other thread runs */
    int64_t fence_first_ns; /* m: and what the first other one that runs adds: 3.4 to 6.1 us */
    int64_t fence_more_ns;  /* g: each further one */
    int64_t interrupt_ns;   /* g: what it costs each of those */
};
extern struct assumptions assume;

/* Sets one by its name; false: there is none of that name. */
bool assume_set(const char *name, int64_t value);

#endif
