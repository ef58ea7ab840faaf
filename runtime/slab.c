/*
 * Slabs of guarded slots.
 *
 * Slabs are address space without reservation, of the same kind and placed side by side by the
 * kernel, which merges them (1,000,000 guarded stacks: 2 mappings more). Their length is a multiple
 * of 2 MiB because kernels from 6.7 on align large mappings to that and would leave gaps between
 * others. Where the wanted length is not to be had (RLIMIT_AS) halves of it are tried.
 *
 * Guards: MADV_GUARD_INSTALL marks pages in the page table and splits no mapping. Without it
 * (before Linux 6.13, or on locked memory) mprotect costs two mappings a slot; at most as many are
 * made as leave the process some of vm.max_map_count.
 *
 * Looking an address up must work in a signal handler, so the slabs are listed in an append-only
 * array that grows by chunks, and every field is atomic. An entry is used again only for a large
 * stack's own mapping. A handler asks about the stack its own thread runs on, whose entry stands
 * still.
 *
 * Rejected: one mapping per stack (the map count ends at 32,750 stacks); huge pages (one touched
 * byte makes 2 MiB resident).
 */
#include "runtime/slab.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "io/sys.h"

#define MAPS_DEFAULT 65530 /* vm.max_map_count where it cannot be read */
#define MAPS_LEFT 4096     /* mappings the guards leave to the rest of the process */

/* Guards made by mprotect in this process; relaxed, any thread. */
static _Atomic size_t protected_in_all;

/* ---- Guards ----------------------------------------------------------------------------- */

/* How many guards mprotect may make: two mappings each, out of vm.max_map_count. */
static size_t protect_limit(void)
{
    char text[32];
    size_t maps = MAPS_DEFAULT;
    int fd = sys_openat(AT_FDCWD, "/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        ssize_t n = sys_read(fd, text, sizeof(text));
        sys_close(fd);
        if (n > 0)
            maps = 0;
        for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
            maps = maps * 10 + (size_t)(text[i] - '0');
    }
    return (maps - (maps / 4 < MAPS_LEFT ? maps / 4 : MAPS_LEFT)) / 2;
}

/* Does this kernel know guard markers? */
static bool probe_markers(size_t page)
{
    void *at;
    if (sys_mmap(&at, NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) < 0)
        return false;
    bool known = sys_madvise(at, page, MADV_GUARD_INSTALL) == 0;
    sys_munmap(at, page);
    return known;
}

int pirn_slab_guard(struct slab_list *list, char *base)
{
    if (list->markers && sys_madvise(base, list->guard, MADV_GUARD_INSTALL) == 0)
        return 0;
    size_t before = atomic_fetch_add_explicit(&protected_in_all, 1, memory_order_relaxed);
    int r = before < list->protect_limit ? sys_mprotect(base, list->guard, PROT_NONE) : -ENOMEM;
    if (r < 0) {
        atomic_fetch_sub_explicit(&protected_in_all, 1, memory_order_relaxed);
        return r == -ENOMEM ? -ENOMEM : -ENOTSUP;
    }
    atomic_fetch_add_explicit(&list->protected, 1, memory_order_relaxed);
    return 1;
}

/* ---- The list --------------------------------------------------------------------------- */

struct place {
    size_t chunk, entry, entries;
};

static struct place place_of(size_t i)
{
    struct place place = {0, i, PIRN_SLAB_CHUNK_FIRST};
    while (place.entry >= place.entries) {
        place.entry -= place.entries;
        place.entries *= 2;
        place.chunk++;
    }
    return place;
}

struct slab *pirn_slab_at(const struct slab_list *list, size_t i)
{
    struct place place = place_of(i);
    /* pairs with the release in chunk_add */
    return &atomic_load_explicit(&list->chunks[place.chunk], memory_order_acquire)[place.entry];
}

/* Makes the chunk that entry i lies in, unless it is there. */
static int chunk_add(struct slab_list *list, size_t i)
{
    struct place place = place_of(i);
    if (place.chunk >= PIRN_SLAB_CHUNKS)
        return -ENOMEM;
    if (atomic_load_explicit(&list->chunks[place.chunk], memory_order_relaxed))
        return 0;
    void *at;
    int r = sys_mmap(&at, NULL, place.entries * sizeof(struct slab), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (r == 0) /* pairs with the acquire in pirn_slab_at */
        atomic_store_explicit(&list->chunks[place.chunk], at, memory_order_release);
    return r;
}

/* A vacant entry, a new one if need be; NULL: no memory. */
static struct slab *entry_take(struct slab_list *list)
{
    size_t n = atomic_load_explicit(&list->count, memory_order_relaxed);
    for (size_t i = 0; list->vacant > 0 && i < n; i++) {
        struct slab *slab = pirn_slab_at(list, i);
        if (!atomic_load_explicit(&slab->base, memory_order_relaxed)) {
            list->vacant--;
            return slab;
        }
    }
    if (chunk_add(list, n) < 0)
        return NULL;
    /* pairs with the acquire in pirn_slab_guard_of */
    atomic_store_explicit(&list->count, n + 1, memory_order_release);
    return pirn_slab_at(list, n);
}

void pirn_slabs_init(struct slab_list *list, size_t guard)
{
    memset(list, 0, sizeof(*list));
    list->page = (size_t)sysconf(_SC_PAGESIZE);
    list->guard = list->page > guard ? list->page : guard;
    list->protect_limit = protect_limit();
    list->markers = probe_markers(list->page);
}

void pirn_slabs_destroy(struct slab_list *list)
{
    size_t n = atomic_load_explicit(&list->count, memory_order_relaxed);
    for (size_t i = 0; i < n; i++)
        if (atomic_load_explicit(&pirn_slab_at(list, i)->base, memory_order_relaxed))
            pirn_slab_unmap(list, pirn_slab_at(list, i));
    size_t bytes = PIRN_SLAB_CHUNK_FIRST * sizeof(struct slab);
    for (size_t i = 0; i < PIRN_SLAB_CHUNKS; i++, bytes *= 2) {
        struct slab *chunk = atomic_load_explicit(&list->chunks[i], memory_order_relaxed);
        if (chunk)
            sys_munmap(chunk, bytes);
    }
    size_t made = atomic_load_explicit(&list->protected, memory_order_relaxed);
    atomic_fetch_sub_explicit(&protected_in_all, made, memory_order_relaxed);
}

/* ---- Slabs ------------------------------------------------------------------------------ */

struct slab *pirn_slab_map(struct slab_list *list, size_t slot, size_t want, size_t least)
{
    void *at;
    while (sys_mmap(&at, NULL, want, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) < 0) {
        want /= 2;
        if (want < least)
            return NULL;
    }
    sys_madvise(at, want, MADV_NOHUGEPAGE); /* a kernel without huge pages refuses: as good */
    struct slab *slab = entry_take(list);
    if (!slab) {
        sys_munmap(at, want);
        return NULL;
    }
    atomic_store_explicit(&slab->bytes, want, memory_order_relaxed);
    atomic_store_explicit(&slab->slot, slot, memory_order_relaxed);
    atomic_store_explicit(&slab->carved, 0, memory_order_relaxed);
    slab->protected = 0;
    /* pairs with the acquire in pirn_slab_guard_of */
    atomic_store_explicit(&slab->base, at, memory_order_release);
    return slab;
}

void pirn_slab_unmap(struct slab_list *list, struct slab *slab)
{
    char *base = atomic_load_explicit(&slab->base, memory_order_relaxed);
    atomic_store_explicit(&slab->base, NULL, memory_order_relaxed);
    sys_munmap(base, atomic_load_explicit(&slab->bytes, memory_order_relaxed));
    atomic_fetch_sub_explicit(&list->protected, slab->protected, memory_order_relaxed);
    atomic_fetch_sub_explicit(&protected_in_all, slab->protected, memory_order_relaxed);
    list->vacant++;
}

char *pirn_slab_carve(struct slab *slab)
{
    size_t slot = atomic_load_explicit(&slab->slot, memory_order_relaxed);
    size_t i = atomic_load_explicit(&slab->carved, memory_order_relaxed);
    if ((i + 1) * slot > atomic_load_explicit(&slab->bytes, memory_order_relaxed))
        return NULL;
    atomic_store_explicit(&slab->carved, i + 1, memory_order_relaxed);
    return atomic_load_explicit(&slab->base, memory_order_relaxed) + i * slot;
}

bool pirn_slab_guard_of(const struct slab_list *list, const void *addr, char **ret_base,
                        size_t *ret_slot)
{
    /* pairs with the release in entry_take */
    size_t n = atomic_load_explicit(&list->count, memory_order_acquire);
    for (size_t i = 0; i < n; i++) {
        const struct slab *slab = pirn_slab_at(list, i);
        /* pairs with the release in pirn_slab_map */
        char *base = atomic_load_explicit(&slab->base, memory_order_acquire);
        if (!base || (uintptr_t)addr < (uintptr_t)base)
            continue;
        size_t slot = atomic_load_explicit(&slab->slot, memory_order_relaxed);
        size_t at = (uintptr_t)addr - (uintptr_t)base;
        if (at / slot >= atomic_load_explicit(&slab->carved, memory_order_relaxed))
            continue;
        *ret_base = base + at / slot * slot;
        *ret_slot = slot;
        return at % slot < list->guard;
    }
    return false;
}
