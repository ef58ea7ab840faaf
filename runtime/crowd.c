/*
 * A crowd: two workers are awake, and there is one core for them, because something else computes
 * (the program that sends the requests, say) or its share of the machine is small.
 *
 * Then a second worker adds nothing, and whoever is not on the core keeps what it has to itself:
 * what is in its queue, and all completions of its ring, which the kernel makes its own thread
 * take. They wait until the kernel changes them over, for up to 4 ms. So in a crowd one worker is
 * enough for more (pace.c): who turns out to have lost its core hands on what it has, and sleeps.
 *
 *   seen     A stride that took three times as long as it ought to, for most of that the thread was
 *            not on a core, and the kernel has taken it off one: what blocks in a system call has
 *            gone by itself, and is for the monitor to deal with, like what computes (unless it was
 *            taken off as well). To know that takes two system calls: they are made only within
 *            50 ms of such a stride, in a crowd, and for 100 ms after it, at most once in 100 us.
 *            (Of a stride that was not watched nobody knows: it has computed, unless there is, or
 *            just was, a crowd.)
 *   ends     after 50 ms, by itself, as nobody can lose a core that he does not ask for. If a core
 *            is lost again within 100 ms it begins anew, and lasts twice as long, up to 1.6 s. So
 *            what there is to gain by more workers, should there be cores again, is found out soon,
 *            and what it costs if there are none is a few milliseconds now and then.
 *
 * Only of workers that have something under way in the kernel: who passes words and computes gains
 * by every bit of a core (rows mpmc, fib). And only of two: of more, one that has lost its core
 * says too little of the others'; what would be right there has not been measured.
 *
 * Two workers and the load on 2 cores, medians of 5 in turns, before and with this:
 *                                a second           a CPU second       p99 us         p99.9 us
 *   http, 64 connections         156,500  169,900    163,100  179,700    4,020    770  4,930 3,490
 *   the same, 16 in a row                          1,190,000 1,455,000   3,760  1,430  5,120 2,690
 *   echo, 64 connections         196,400  243,500    202,200  241,500    1,410    470  4,400   960
 * With one worker http has a p99 of 650 to 890 us, and Tokio, whose workers share one poll, of 720
 * to 810. Row mpmc: 96 and 97, 38 and 39, 39 and 39 ns (capacities 0, 64, 1024).
 * Rejected: the thread's run_delay (/proc), a descriptor for each worker; rseq's word of a
 * preemption, which does not say how long it was.
 */
#include "runtime/crowd.h"

#include <sys/resource.h>

#include "io/clock.h"

enum {
    WATCH_NS = 50000000,
    SAMPLE_NS = 100000,
    LEAST_NS = 50000000,
    MOST_NS = 1600000000,
    TRIAL_NS = 100000000
};

/* There is a crowd, or there was one a moment ago. */
static bool is_suspect(const struct pirn_runtime *rt, int64_t now)
{
    return now - atomic_load_explicit(&rt->crowded_until, memory_order_relaxed) < TRIAL_NS;
}

/* The thread's CPU time, and how often it has lost its core. (What getrusage says of the former is
 * as old as the last tick.) */
static int64_t cpu_time(long *ret_losses)
{
    struct rusage u = {0};
    getrusage(RUSAGE_THREAD, &u);
    *ret_losses = u.ru_nivcsw;
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void sample(struct worker *w, int64_t now)
{
    w->sampled = now;
    w->sampled_cpu = cpu_time(&w->sampled_losses);
    w->cpu_known = true;
}

void pirn_crowd_sample(struct worker *w, int64_t now)
{
    if (now > w->watch_until && !is_suspect(w->rt, now))
        w->cpu_known = false; /* what was sampled is too old to say anything of the next stride */
    else if (now - w->sampled >= SAMPLE_NS)
        sample(w, now);
}
/* Workers may do this at the same time: one of the two is lost, or the span doubled twice. */
static void begin(struct pirn_runtime *rt, int64_t now)
{
    int64_t until = atomic_load_explicit(&rt->crowded_until, memory_order_relaxed);
    int64_t span = atomic_load_explicit(&rt->crowd_span, memory_order_relaxed);
    if (now < until)
        return;
    span = now - until > TRIAL_NS ? LEAST_NS : span < MOST_NS ? 2 * span : span;
    atomic_store_explicit(&rt->crowd_span, span, memory_order_relaxed);
    atomic_store_explicit(&rt->crowded_until, now + span, memory_order_relaxed);
}

bool pirn_crowd_has_computed(struct worker *w, int64_t took, int64_t now)
{
    w->watch_until = now + WATCH_NS;
    if (!w->cpu_known)
        return !is_suspect(w->rt, now);
    long losses;
    int64_t cpu = cpu_time(&losses) - w->sampled_cpu;
    w->cpu_known = false;
    if (losses == w->sampled_losses || now - w->sampled - cpu < took / 2)
        return true;
    begin(w->rt, now);
    return false;
}
