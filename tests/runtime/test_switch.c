/*
 * The context switch alone: needs context.h, the .S of the CPU and a C library, no Check, so that
 * it can be linked statically for another CPU and run under an emulator.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/context.h"

#define STACK 65536
#define PEERS 3

static int failures;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            failures++; \
        } \
    } while (0)

static void *main_sp;
static void *peer_sp[PEERS];
static _Alignas(16) char stacks[PEERS][STACK];

static char *stack_top(int i)
{
    return stacks[i] + STACK;
}

/* ---- Arguments and alignment --------------------------------------------------------------- */

static void *seen_arg;
static uintptr_t seen_frame;
static bool seen_aligned;

static void first_entry(void *arg)
{
    /* A vector local makes the compiler count on the alignment the ABI promises. */
    volatile _Alignas(16) char vector[16];
    memset((char *)vector, 1, sizeof(vector));
    seen_aligned = (uintptr_t)vector % 16 == 0;
    seen_frame = (uintptr_t)__builtin_frame_address(0);
    for (;;) {
        seen_arg = arg;
        arg = context_switch(&peer_sp[0], main_sp, (char *)arg + 1);
    }
}

static void test_args(void)
{
    char text[64];
    for (uintptr_t shift = 0; shift < 256; shift += 16) {
        peer_sp[0] = pirn_context_make(stack_top(0) - shift, first_entry);
        CHECK((uintptr_t)peer_sp[0] > (uintptr_t)stacks[0]);
        for (int i = 0; i < 10; i++) {
            void *back = context_switch(&main_sp, peer_sp[0], text + i);
            CHECK(back == text + i + 1);
            CHECK(seen_arg == text + i);
        }
        CHECK(seen_aligned);
        CHECK(seen_frame % 16 == 0);
        CHECK(seen_frame < (uintptr_t)stack_top(0) - shift);
        CHECK(seen_frame > (uintptr_t)stack_top(0) - shift - 256);
    }
}

/* ---- Registers ------------------------------------------------------------------------------ */

/*
 * swap_filled(save_sp, to_sp, in, out) fills every callee-saved register from in, switches, and
 * stores in out what they hold afterwards. It is a function of its own in assembler: a compiler
 * cannot be told to give up its frame pointer.
 */
#if defined(__x86_64__)
#define WORDS 6 /* rbp, by the switch; rbx, r12 to r15, by the function it is in */
__asm__(".text\n"
        ".type swap_filled, @function\n"
        "swap_filled:\n"
        "    pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "    pushq %rcx\n" /* out */
        "    movq 0(%rdx), %rbp; movq 8(%rdx), %rbx; movq 16(%rdx), %r12\n"
        "    movq 24(%rdx), %r13; movq 32(%rdx), %r14; movq 40(%rdx), %r15\n"
        "    call just_switch\n"
        "    popq %rcx\n"
        "    movq %rbp, 0(%rcx); movq %rbx, 8(%rcx); movq %r12, 16(%rcx)\n"
        "    movq %r13, 24(%rcx); movq %r14, 32(%rcx); movq %r15, 40(%rcx)\n"
        "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
        "    ret\n"
        ".size swap_filled, . - swap_filled\n");
__attribute__((noinline, used)) static void just_switch(void **save_sp, void *to_sp)
{
    context_switch(save_sp, to_sp, NULL);
}
#elif defined(__aarch64__)
#define WORDS 19 /* x19 to x29, d8 to d15 */
__asm__(".text\n"
        ".type swap_filled, %function\n"
        "swap_filled:\n"
        "    sub sp, sp, #176\n"
        "    stp x29, x30, [sp]\n"
        "    stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n stp x23, x24, [sp, #48]\n"
        "    stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
        "    str x3, [sp, #160]\n"
        "    ldp x19, x20, [x2]\n ldp x21, x22, [x2, #16]\n ldp x23, x24, [x2, #32]\n"
        "    ldp x25, x26, [x2, #48]\n ldp x27, x28, [x2, #64]\n ldr x29, [x2, #80]\n"
        "    ldp d8, d9, [x2, #88]\n ldp d10, d11, [x2, #104]\n"
        "    ldp d12, d13, [x2, #120]\n ldp d14, d15, [x2, #136]\n"
        "    bl pirn_context_switch\n"
        "    ldr x3, [sp, #160]\n"
        "    stp x19, x20, [x3]\n stp x21, x22, [x3, #16]\n stp x23, x24, [x3, #32]\n"
        "    stp x25, x26, [x3, #48]\n stp x27, x28, [x3, #64]\n str x29, [x3, #80]\n"
        "    stp d8, d9, [x3, #88]\n stp d10, d11, [x3, #104]\n"
        "    stp d12, d13, [x3, #120]\n stp d14, d15, [x3, #136]\n"
        "    ldp x29, x30, [sp]\n"
        "    ldp x19, x20, [sp, #16]\n ldp x21, x22, [sp, #32]\n ldp x23, x24, [sp, #48]\n"
        "    ldp x25, x26, [sp, #64]\n ldp x27, x28, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #176\n"
        "    ret\n"
        ".size swap_filled, . - swap_filled\n");
#endif
void swap_filled(void **save_sp, void *to_sp, const uint64_t *in, uint64_t *out);

static uint64_t pattern(int who, unsigned round, int word)
{
    return 0x9e3779b97f4a7c15u * (round + 1) + 0x1000001u * (unsigned)(word + 1) +
           ((uint64_t)who << 56);
}

static void fill_and_check(int who, unsigned round, void **save_sp, void *to_sp)
{
    uint64_t in[WORDS], out[WORDS];
    for (int i = 0; i < WORDS; i++)
        in[i] = pattern(who, round, i);
    memset(out, 0, sizeof(out));
    swap_filled(save_sp, to_sp, in, out);
    CHECK(memcmp(in, out, sizeof(in)) == 0);
}

static void filler_entry(void *arg)
{
    (void)arg;
    for (unsigned round = 0;; round++)
        fill_and_check(1, round, &peer_sp[0], main_sp);
}

static void test_registers(void)
{
    peer_sp[0] = pirn_context_make(stack_top(0), filler_entry);
    for (unsigned round = 0; round < 1000; round++)
        fill_and_check(0, round, &main_sp, peer_sp[0]);
}

/* ---- The saved frame ------------------------------------------------------------------------ */

static uintptr_t parked_frame;

static __attribute__((noinline)) void parking_entry(void *arg)
{
    (void)arg;
    parked_frame = (uintptr_t)__builtin_frame_address(0);
    context_switch(&peer_sp[0], main_sp, NULL);
    abort();
}

/* Reads as a debugger does, whatever AddressSanitizer thinks of that part of a stack. */
static __attribute__((noinline, no_sanitize("address"))) uintptr_t word_at(const void *p)
{
    return *(const volatile uintptr_t *)p;
}

/* What a debugger reads from a suspended context. */
static void test_layout(void)
{
    char *top = stack_top(0);
    peer_sp[0] = pirn_context_make(top, parking_entry);
    context_switch(&main_sp, peer_sp[0], NULL);
    char *sp = peer_sp[0];
    CHECK(sp + PIRN_FRAME_SIZE < top && sp > top - 512);
    uintptr_t word = word_at(sp + PIRN_FRAME_PC);
    CHECK(word > (uintptr_t)parking_entry && word < (uintptr_t)parking_entry + 256);
    CHECK(word_at(sp + PIRN_FRAME_FP) ==
          parked_frame); /* asking for its address gives a function a frame pointer */
    CHECK(word_at((void *)parked_frame) == 0); /* the chain of frames ends */
    CHECK(word_at(top - sizeof(word)) == 0);
}

/* ---- Many switches -------------------------------------------------------------------------- */

struct ring_turn {
    unsigned long left;
};

static void ring_entry(void *arg)
{
    int me = (int)((struct ring_turn *)arg)->left % PEERS;
    double sum = 0; /* lives in a register or on this stack: it must not leak to another */
    for (unsigned long turns = 1;; turns++) {
        struct ring_turn *turn = arg;
        sum += me + 1;
        if (sum != (double)turns * (me + 1))
            abort();
        if (turn->left == 0)
            context_switch(&peer_sp[me], main_sp, &sum);
        turn->left--;
        arg = context_switch(&peer_sp[me], peer_sp[(me + PEERS - 1) % PEERS], turn);
    }
}

static void test_many(void)
{
    struct ring_turn turn = {PEERS * 100000ul};
    for (int i = 0; i < PEERS; i++)
        peer_sp[i] = pirn_context_make(stack_top(i), ring_entry);
    double *sum = context_switch(&main_sp, peer_sp[0], &turn);
    CHECK(turn.left == 0);
    CHECK(*sum == 100001.0); /* peer 0 had the first turn and the last */
}

int main(void)
{
    test_args();
    test_registers();
    test_layout();
    test_many();
    if (failures == 0)
        puts("switch: ok");
    return failures != 0;
}
