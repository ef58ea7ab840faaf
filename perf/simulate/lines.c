/*
 * The memory model: each line of 64 bytes is in the caches of those who have read it since it was
 * last written, or in that of its last writer alone. An access to a line that is there costs a
 * step; any other has to fetch it, or to take it from all others, which costs a transfer. A line
 * makes one transfer at a time: who comes meanwhile waits, in the order of time. So a word that all
 * want is a queue.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "perf/simulate/assumptions.h"
#include "perf/simulate/machine.h"

enum {
    TABLE_BITS = 20, /* lines that a run may touch: 64 MiB of memory */
    TABLE = 1 << TABLE_BITS,
    WORDS = CPUS_MAX / 64,
    NOBODY = -1
};

struct line {
    uint64_t tag;    /* its number; 0: a free place */
    int64_t free_at; /* when it is through with its transfers */
    int32_t owner;   /* whose cache alone has it, or NOBODY */
    int32_t last;    /* who wrote it last: where it comes from */
    uint64_t readers[WORDS];
    struct line *next; /* of all that are in use */
    int64_t waited;    /* for it, in all, ps */
};

static struct line *table, *lines;
static unsigned used;

static struct line *find(uint64_t tag)
{
    if (table == NULL) {
        table = mmap(NULL, TABLE * sizeof(*table), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (table == MAP_FAILED)
            abort();
    }
    uint64_t at = tag * 0x9e3779b97f4a7c15u >> (64 - TABLE_BITS);
    while (table[at].tag != tag) {
        if (table[at].tag == 0) {
            if (++used > TABLE / 4 * 3) {
                fputs("simulate: more memory is touched than can be kept track of\n", stderr);
                exit(1);
            }
            table[at].tag = tag;
            table[at].owner = NOBODY;
            table[at].last = (int32_t)machine_me->index;
            table[at].next = lines;
            lines = &table[at];
            return &table[at];
        }
        at = (at + 1) % TABLE;
    }
    return &table[at];
}

static bool is_reader(const struct line *l, unsigned cpu)
{
    return (l->readers[cpu / 64] >> cpu % 64 & 1) != 0;
}

static bool has_other_reader(const struct line *l, unsigned cpu)
{
    uint64_t others = 0;
    for (unsigned i = 0; i < WORDS; i++)
        others |= l->readers[i] & ~(i == cpu / 64 ? (uint64_t)1 << cpu % 64 : 0);
    return others != 0;
}

static bool is_here(const struct line *l, unsigned cpu, enum access access)
{
    if (l->owner == (int32_t)cpu)
        return true;
    if (l->owner != NOBODY)
        return false;
    return access == ACCESS_READ ? is_reader(l, cpu) : !has_other_reader(l, cpu);
}

static bool is_far(const struct line *l, unsigned cpu)
{
    return (unsigned)l->last / (unsigned)assume.cpus_near != cpu / (unsigned)assume.cpus_near;
}

static void own(struct line *l, unsigned cpu)
{
    for (unsigned i = 0; i < WORDS; i++)
        l->readers[i] = 0;
    l->owner = l->last = (int32_t)cpu;
}

/* The line comes to the caller, for reading or as its own. */
static void fetch(struct line *l, struct cpu *me, enum access access)
{
    bool far = is_far(l, me->index), fresh = l->owner == NOBODY && !has_other_reader(l, me->index);
    int64_t start = me->now > l->free_at ? me->now : l->free_at;
    int64_t done = start + (fresh ? 0 : (far ? assume.far_line_ns : assume.line_ns) * PS);
    l->waited += done - me->now;
    if (access == ACCESS_READ) {
        if (l->owner != NOBODY)
            l->readers[l->owner / 64] |= (uint64_t)1 << l->owner % 64;
        l->owner = NOBODY;
        l->readers[me->index / 64] |= (uint64_t)1 << me->index % 64;
        l->free_at = fresh ? l->free_at : start + assume.read_ns * PS;
        me->now = done;
        return;
    }
    own(l, me->index);
    l->free_at = done;
    if (done > me->stores_done)
        me->stores_done = done;
}

static void touch_line(uint64_t tag, enum access access)
{
    struct cpu *me = machine_me;
    struct line *l = me->known[tag % KNOWN_LINES].line;
    if (me->known[tag % KNOWN_LINES].tag != tag) {
        l = find(tag);
        me->known[tag % KNOWN_LINES].tag = tag;
        me->known[tag % KNOWN_LINES].line = l;
    }
    me->now += assume.step_ps;
    if (access == ACCESS_MODIFY) {
        me->now += assume.atomic_ps;
        if (me->stores_done > me->now)
            me->now = me->stores_done;
    }
    if (!is_here(l, me->index, access)) {
        machine_in_order();
        fetch(l, me, access);
        if (access == ACCESS_MODIFY)
            me->now = me->stores_done;
    } else if (access != ACCESS_READ && l->owner == NOBODY) {
        own(l, me->index);
    }
    if (me->now > machine_ahead)
        machine_in_order();
}

void machine_touch(uintptr_t address, unsigned bytes, enum access access)
{
    uint64_t first = address >> LINE_BITS, last = (address + bytes - 1) >> LINE_BITS;
    for (uint64_t tag = first; tag <= last; tag++)
        touch_line(tag, access);
}

void machine_fence(void)
{
    struct cpu *me = machine_me;
    me->now += assume.atomic_ps;
    if (me->stores_done > me->now)
        me->now = me->stores_done;
    if (me->now > machine_ahead)
        machine_in_order();
}

void machine_lines_begin(void)
{
    for (struct line *l = lines; l != NULL; l = l->next)
        l->waited = 0;
}

void machine_each_line(void (*fn)(uintptr_t line, int64_t ps))
{
    for (struct line *l = lines; l != NULL; l = l->next) {
        if (l->waited != 0)
            fn((uintptr_t)(l->tag << LINE_BITS), l->waited);
    }
}
