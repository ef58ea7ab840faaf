/*
 * Looking before sleeping.
 *
 * To put a thread to sleep and to wake it again takes 5 to 40 us, about as much CPU as time, and
 * the waker pays half of it. What comes sooner had better be waited for awake; what does not has
 * cost one look more, at the end of which there was no telling. So a thread looks for as long as
 * the sleep would cost (which is at most twice the price of knowing before, whatever comes; Karlin
 * et al., 1991), but if that was in vain it sleeps at once in its next wait, after the next vain
 * look in the next 3, 7, 15, up to 255: who waits for long each time pays 0.2 us a wait, and who
 * begins to talk to a quick peer finds out soon. One of two that sleep by turns has to look for as
 * long as the other takes to wake; then that one is answered at once, and looks too.
 *
 * The cell is not parked while its thread looks, so whoever claims it wakes nobody. Whatever else
 * happens to it (a cancel) is for the park to deal with. A pinned task that looks counts as being
 * at work (pause.c). What it gives: row pingpong-cross, whose head has the figures.
 */
#include "runtime/patience.h"

#include <ck_pr.h>

#include "io/clock.h"

enum {
    LOOK_NS = 40000,
    STALLS = 16, /* between two looks at the clock */
    VAIN_MOST = 8
};

/* True: claimed. *ret_late: it looked as long as it may, or longer (its thread lost its core). */
static bool look(const struct cell *c, uint32_t gen, int64_t deadline, bool *ret_late)
{
    const uint64_t first = cell_load(c);
    uint64_t word = first;
    int64_t end = 0;
    *ret_late = false;
    while (cell_gen(word) == gen && word == first && !*ret_late) {
        for (int i = 0; i < STALLS && word == first; i++) {
            ck_pr_stall();
            word = cell_load(c);
        }
        if (word != first && end == 0)
            break; /* within a microsecond or so */
        int64_t now = clock_now();
        if (end == 0)
            end = now + LOOK_NS < deadline ? now + LOOK_NS : deadline;
        *ret_late = now >= end;
    }
    /* acquire: pairs with the release of the claim */
    return cell_gen(atomic_load_explicit(&c->word, memory_order_acquire)) != gen;
}

bool pirn_patience_look(struct patience *p, const struct cell *c, uint32_t gen, int64_t deadline)
{
    bool late;
    if (p->skip > 0) {
        p->skip--;
        return false;
    }
    bool claimed = look(c, gen, deadline, &late);
    if (claimed && !late) {
        p->vain = 0;
        return true;
    }
    if (p->vain < VAIN_MOST)
        p->vain++;
    p->skip = (uint8_t)((1u << p->vain) - 1);
    return claimed;
}
