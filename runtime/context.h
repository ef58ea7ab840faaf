/*
 * The context switch: leaves one stack and goes on with another, on the same thread.
 *
 * What a switch keeps are the registers a C call must keep (System V x86-64, AAPCS64) and the
 * stack pointer, nothing else. In particular:
 *   - mxcsr and the x87 control word (fpcr on aarch64) are not saved, although the x86-64 ABI calls
 *     their control bits callee-saved: it would cost 2.6 ns of a switch of the same length. They
 *     belong to the thread; a coroutine that changes the rounding mode must put it back before it
 *     suspends.
 *   - the signal mask, errno and every other thread-local belong to the thread as well.
 *   - sanitizers and valgrind hear nothing here; the caller tells them.
 *
 * A suspended context is one pointer, the saved stack pointer; the frame it points to is described
 * by the offsets below. A debugger unwinds a suspended context by taking the pc, the frame pointer
 * and the other registers from there, and the stack pointer as saved + PIRN_FRAME_SP.
 *
 * Shadow stacks (CET SHSTK, GCS) are not supported and not claimed in the object's property note,
 * so a linker or loader turns them off. Indirect branch tracking (IBT, BTI) is.
 */
#ifndef PIRN_RUNTIME_CONTEXT_H
#define PIRN_RUNTIME_CONTEXT_H

#if defined(__x86_64__) && defined(__LP64__)
#define PIRN_FRAME_FP 0 /* rbp */
#define PIRN_FRAME_PC 8 /* where the switch returns to */
#define PIRN_FRAME_SIZE 16
#define PIRN_FRAME_SP (PIRN_FRAME_SIZE + 128) /* saved + this: the stack pointer there */
#define PIRN_FRAME_ENTRY 16                   /* pirn_context_start pops and calls it */
#define PIRN_FRAME_FRESH 40                   /* from a fresh context's saved pointer to its top */
#elif defined(__aarch64__) && defined(__LP64__)
#define PIRN_FRAME_FP 0   /* x29 */
#define PIRN_FRAME_PC 8   /* x30, where the switch returns to */
#define PIRN_FRAME_X19 16 /* x19 to x28 */
#define PIRN_FRAME_D8 96  /* d8 to d15 */
#define PIRN_FRAME_SIZE 160
#define PIRN_FRAME_SP PIRN_FRAME_SIZE
#define PIRN_FRAME_ENTRY PIRN_FRAME_X19
#define PIRN_FRAME_FRESH (PIRN_FRAME_SIZE + 16)
#else
#error "pirn has a context switch for x86-64 and aarch64 (64-bit pointers) only"
#endif

#ifndef __ASSEMBLER__

#include <stdint.h>
#include <string.h>

/*
 * Saves this context's frame on its stack, its stack pointer in *save_sp, and goes on where to_sp
 * was saved: the context_switch that saved it returns arg. *save_sp is complete before anything
 * runs on the other stack, and the old stack is not touched after that.
 *
 * On x86-64 it is part of the function that switches. It keeps rbp alone of the registers that a
 * call must keep, and tells the compiler that all the others are lost, so each is saved once, by
 * the function that uses it, and not a second time here (21 instead of 16 ns for two switches with
 * everything around them). And it resumes with a jmp to the return address of its own making: the
 * return predictor expects the other context's, so a ret is mispredicted every time (2.6 against
 * 7.7 ns a bare switch); and after a call, whose entry in the predictor such a jmp does not take
 * off, so was each return on the way out (32 ns a yield instead of 9). Shared by all who switch,
 * with a jump there: 10.0 ns for row `switch` instead of 9.7. For these instructions, what unwinds
 * by tables has the wrong stack pointer; who is suspended is found by the frame (pirn-gdb.py).
 */
#if defined(__x86_64__)

#if defined(__CET__) && (__CET__ & 1)
#define PIRN_NOTRACK "notrack " /* jumps are tracked; a return address carries no endbr64 */
#else
#define PIRN_NOTRACK
#endif

#ifdef __AVX512F__ /* -march=x86-64-v4, say: values may be in these, too */
#define PIRN_LOST_BY_AVX512 \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", \
        "k6", "k7"
#else
#define PIRN_LOST_BY_AVX512
#endif

static inline void *context_switch(void **save_sp, void *to_sp, void *arg)
{
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t" /* past the red zone */
                     "leaq 1f(%%rip), %%rcx\n\t"
                     "pushq %%rcx\n\t"
                     "pushq %%rbp\n\t"
                     "movq %%rsp, (%%rdi)\n\t"
                     "movq %%rsi, %%rsp\n\t"
                     "popq %%rbp\n\t"
                     "popq %%rcx\n\t" PIRN_NOTRACK "jmp *%%rcx\n"
                     "1:\n\t"
                     "leaq 128(%%rsp), %%rsp"
                     : "+a"(arg), "+D"(save_sp), "+S"(to_sp)
                     :
                     : "rbx", "rcx", "rdx", "r12", "r13", "r14", "r15", "r8", "r9", "r10", "r11",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "mm0", "mm1",
                       "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "st", "st(1)", "st(2)", "st(3)",
                       "st(4)", "st(5)", "st(6)", "st(7)", "memory", "cc" PIRN_LOST_BY_AVX512);
    return arg;
}

#else

__attribute__((visibility("hidden"))) void *pirn_context_switch(void **save_sp, void *to_sp,
                                                                void *arg);

static inline void *context_switch(void **save_sp, void *to_sp, void *arg)
{
    return pirn_context_switch(save_sp, to_sp, arg);
}

#endif

/* The bottom of every fresh context; not called from C. Unwinders stop here. */
__attribute__((visibility("hidden"))) void pirn_context_start(void);

/*
 * Prepares a fresh stack that ends at top (16-aligned): the first switch to the pointer returned
 * calls entry(arg) there, arg being the switch's. entry must not return (it traps).
 */
static inline void *pirn_context_make(void *top, void (*entry)(void *arg))
{
    /* Zero words stay at the top: a frame chain that ends, and the stack 16-aligned. */
    char *sp = (char *)top - PIRN_FRAME_FRESH;
    uintptr_t start = (uintptr_t)pirn_context_start;
    memset(sp, 0, PIRN_FRAME_FRESH);
    memcpy(sp + PIRN_FRAME_PC, &start, sizeof(start));
    memcpy(sp + PIRN_FRAME_ENTRY, &entry, sizeof(entry));
    return sp;
}

#endif
#endif
