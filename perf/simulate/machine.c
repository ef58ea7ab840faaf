/*
 * Processors and their turns; see machine.h. Those that will run are in a heap by time, then by
 * number: the caller is not in it. A processor's turn lasts until its clock is a little (LEAD_PS)
 * beyond the earliest other one's, or until it needs a line that is not its own: then it has to be
 * the earliest, so that lines change hands in the order of time.
 */
#include "perf/simulate/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "perf/simulate/assumptions.h"
#include "runtime/context.h"

enum {
    STACK_BYTES = 256 * 1024
};

struct cpu *machine_me;
int64_t machine_ahead;

static struct cpu *cpus[CPUS_MAX];
static unsigned cpu_count;
static struct cpu *heap[CPUS_MAX + 1]; /* from 1 */
static unsigned heap_count;

static void fail(const char *why)
{
    fprintf(stderr, "simulate: %s\n", why);
    exit(1);
}

/* ---- The heap ----------------------------------------------------------------------------- */

static bool before(const struct cpu *a, const struct cpu *b)
{
    return a->key != b->key ? a->key < b->key : a->index < b->index;
}

static void put(unsigned place, struct cpu *cpu)
{
    heap[place] = cpu;
    cpu->place = place;
}

static void sift(unsigned place, struct cpu *cpu)
{
    for (; place > 1 && before(cpu, heap[place / 2]); place /= 2)
        put(place, heap[place / 2]);
    for (unsigned child; (child = 2 * place) <= heap_count; place = child) {
        if (child < heap_count && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], cpu))
            break;
        put(place, heap[child]);
    }
    put(place, cpu);
}

static void insert(struct cpu *cpu, int64_t key)
{
    cpu->key = key;
    sift(cpu->place != 0 ? cpu->place : ++heap_count, cpu);
}

static struct cpu *take_first(void)
{
    if (heap_count == 0)
        fail("all processors sleep for ever");
    struct cpu *first = heap[1], *last = heap[heap_count--];
    if (last != first)
        sift(1, last);
    first->place = 0;
    return first;
}

static void set_ahead(void)
{
    machine_ahead = heap_count != 0 ? heap[1]->key + LEAD_PS : INT64_MAX;
}

/* ---- Turns -------------------------------------------------------------------------------- */

static void become(struct cpu *cpu)
{
    if (cpu->asleep) { /* its time has come */
        cpu->asleep = false;
        cpu->in_time = true;
        cpu->now = cpu->key;
        cpu->idle += cpu->now - cpu->slept_at;
    }
    cpu->now += cpu->interrupts;
    cpu->interrupts = 0;
    machine_me = cpu;
    set_ahead();
}

static void switch_to_first(void)
{
    struct cpu *me = machine_me, *first = take_first();
    become(first);
    if (first != me)
        context_switch(&me->sp, first->sp, NULL);
}

static void enter(void *arg)
{
    (void)arg;
    machine_me->fn(machine_me->arg);
    machine_me->over = true;
    for (struct cpu *c; (c = machine_sleeper(machine_me)) != NULL;) /* who joins it */
        machine_wake(c, machine_me->now);
    machine_sleep(NULL, INT64_MAX);
    abort(); /* nobody wakes it */
}

static struct cpu *add(void)
{
    if (cpu_count == CPUS_MAX)
        fail("too many threads");
    struct cpu *cpu = calloc(1, sizeof(*cpu));
    if (cpu == NULL)
        fail("no memory");
    cpu->index = cpu_count;
    cpus[cpu_count++] = cpu;
    return cpu;
}

void machine_begin(void)
{
    machine_me = add();
    set_ahead();
}

struct cpu *machine_start(void *(*fn)(void *arg), void *arg)
{
    struct cpu *cpu = add();
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
        fail("no memory");
    cpu->sp = pirn_context_make(stack + STACK_BYTES, enter);
    cpu->fn = fn;
    cpu->arg = arg;
    cpu->now = machine_me->now;
    insert(cpu, cpu->now);
    set_ahead();
    return cpu;
}

void machine_in_order(void)
{
    struct cpu *me = machine_me;
    if (heap_count == 0 || me->now < heap[1]->key)
        return;
    insert(me, me->now);
    switch_to_first();
}

void machine_spend(int64_t ns)
{
    machine_me->now += ns * PS;
    if (machine_me->now > machine_ahead)
        machine_in_order();
}

bool machine_sleep(const void *waits_for, int64_t until)
{
    struct cpu *me = machine_me;
    me->asleep = true;
    me->in_time = false;
    me->slept_at = me->now;
    me->waits_for = waits_for;
    if (until != INT64_MAX)
        insert(me, until > me->now ? until : me->now);
    switch_to_first();
    me->waits_for = NULL;
    return !me->in_time;
}

void machine_wake(struct cpu *cpu, int64_t at)
{
    if (!cpu->asleep)
        return;
    cpu->asleep = false;
    cpu->now = at > cpu->slept_at ? at : cpu->slept_at;
    cpu->idle += cpu->now - cpu->slept_at;
    insert(cpu, cpu->now);
    set_ahead();
}

struct cpu *machine_sleeper(const void *waits_for)
{
    for (unsigned i = 0; i < cpu_count; i++) {
        if (cpus[i]->asleep && cpus[i]->waits_for == waits_for)
            return cpus[i];
    }
    return NULL;
}

unsigned machine_interrupt_others(int64_t ns)
{
    unsigned n = 0;
    for (unsigned i = 0; i < cpu_count; i++) {
        if (cpus[i] == machine_me || cpus[i]->asleep)
            continue;
        cpus[i]->interrupts += ns * PS;
        n++;
    }
    return n;
}

/* ---- What it was ---------------------------------------------------------------------------- */

int64_t machine_busy_of(const struct cpu *cpu)
{
    int64_t idle = cpu->idle;
    if (cpu->asleep && machine_me->now > cpu->slept_at)
        idle += machine_me->now - cpu->slept_at;
    return machine_me->now - idle;
}

int64_t machine_busy_ps(void)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < cpu_count; i++)
        sum += machine_busy_of(cpus[i]);
    return sum;
}

struct cpu *machine_cpu(unsigned index)
{
    return cpus[index];
}

unsigned machine_cpus(void)
{
    return cpu_count;
}
