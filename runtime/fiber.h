/*
 * The one place where stacks are switched: the context switch, with what sanitizers have to be told
 * and the C++ runtime has to keep.
 *
 * C++ keeps the exceptions in flight of a thread in two words (__cxa_eh_globals). A coroutine that
 * suspends inside a catch block takes its own along: saved here on its stack, put back when it
 * resumes on whatever thread. Free of cost in C programs: the weak symbol is absent.
 *
 * To ThreadSanitizer a switch orders what was left before what is gone on with: it finds no race
 * between two coroutines that take turns on one worker. Rejected: switches that say nothing of
 * order (__tsan_switch_to_fiber_no_sync), with pirn's own memory not instrumented. What orders two
 * coroutines would have to be told wherever one hands something to the other on one worker: it
 * named strands, the stacks that ended tasks leave to new ones, and the end of a runtime as races,
 * all wrong, and still missed others, as each of pirn's locks that both have taken in passing
 * orders them.
 */
#ifndef PIRN_RUNTIME_FIBER_H
#define PIRN_RUNTIME_FIBER_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/context.h"
#include "sched/tsan.h"

#if defined(__SANITIZE_ADDRESS__)
#define PIRN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PIRN_ASAN 1
#endif
#endif

#ifdef PIRN_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **ret_bottom, size_t *ret_size);
#endif
#ifdef PIRN_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#define FIBER_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define FIBER_NO_TSAN
#endif

struct cxx_globals { /* Itanium C++ ABI, 2.2.2 */
    void *caught;
    unsigned uncaught;
};
extern struct cxx_globals *__cxa_get_globals(void) __attribute__((weak));

/* Where a switch goes. */
struct fiber_target {
    void *sp;
    const void *low; /* the stack's bounds, for ASan */
    size_t size;
    void *tsan;
};

/* What the caller keeps of the thread's exceptions while other code runs above it. */
static inline struct cxx_globals fiber_keep_cxx(void)
{
    struct cxx_globals kept = {NULL, 0};
    if (__cxa_get_globals != NULL) {
        struct cxx_globals *g = __cxa_get_globals();
        kept = *g;
        g->caught = NULL;
        g->uncaught = 0;
    }
    return kept;
}

static inline void fiber_put_cxx(struct cxx_globals kept)
{
    if (__cxa_get_globals != NULL)
        *__cxa_get_globals() = kept;
}

FIBER_NO_TSAN static inline __attribute__((always_inline)) void *fiber_jump(
    void **save_sp, const struct fiber_target *to, void *arg)
{
#ifdef PIRN_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    return context_switch(save_sp, to->sp, arg);
}

/* Leaves this stack for another; returns what the side that comes back hands over. dying: never
 * comes back. Without C++ nothing is kept, nor looked for again afterwards: hence two jumps. */
FIBER_NO_TSAN static inline void *fiber_switch(void **save_sp, const struct fiber_target *to,
                                               void *arg, bool dying)
{
    void *got;
#ifdef PIRN_ASAN
    void *fake = NULL;
    __sanitizer_start_switch_fiber(dying ? NULL : &fake, to->low, to->size);
#else
    (void)dying;
#endif
    uintptr_t cxx = (uintptr_t)__cxa_get_globals;
    __asm__("" : "+r"(cxx)); /* gcc expects a weak symbol to be there, whatever it is told */
    if (__builtin_expect(cxx != 0, 0)) {
        struct cxx_globals kept = fiber_keep_cxx();
        got = fiber_jump(save_sp, to, arg);
        fiber_put_cxx(kept);
    } else {
        got = fiber_jump(save_sp, to, arg);
    }
#ifdef PIRN_ASAN
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
    return got;
}

/* The first thing on a fresh stack. */
static inline void fiber_arrived(void)
{
#ifdef PIRN_ASAN
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
}

#endif
