/*
 * The context switch on aarch64. Its contract and the frame's layout are in context.h.
 *
 * It resumes with a br for the reason given in context.h, except where branch targets are
 * enforced: a return address carries no bti, and only ret may go there.
 */
#if defined(__aarch64__) && defined(__LP64__)

#include "runtime/context.h"

        .text
        .globl  pirn_context_switch
        .hidden pirn_context_switch
        .type   pirn_context_switch, %function
        .p2align 4
pirn_context_switch: /* x0: save_sp, x1: to_sp, x2: arg */
        .cfi_startproc
        hint    34 /* bti c */
        sub     sp, sp, #PIRN_FRAME_SIZE
        .cfi_def_cfa_offset PIRN_FRAME_SIZE
        stp     x29, x30, [sp, #PIRN_FRAME_FP]
        stp     x19, x20, [sp, #PIRN_FRAME_X19]
        stp     x21, x22, [sp, #PIRN_FRAME_X19 + 16]
        stp     x23, x24, [sp, #PIRN_FRAME_X19 + 32]
        stp     x25, x26, [sp, #PIRN_FRAME_X19 + 48]
        stp     x27, x28, [sp, #PIRN_FRAME_X19 + 64]
        stp     d8, d9, [sp, #PIRN_FRAME_D8]
        stp     d10, d11, [sp, #PIRN_FRAME_D8 + 16]
        stp     d12, d13, [sp, #PIRN_FRAME_D8 + 32]
        stp     d14, d15, [sp, #PIRN_FRAME_D8 + 48]
        .cfi_rel_offset x29, PIRN_FRAME_FP
        .cfi_rel_offset x30, PIRN_FRAME_PC
        .cfi_rel_offset x19, PIRN_FRAME_X19
        .cfi_rel_offset x20, PIRN_FRAME_X19 + 8
        .cfi_rel_offset x21, PIRN_FRAME_X19 + 16
        .cfi_rel_offset x22, PIRN_FRAME_X19 + 24
        .cfi_rel_offset x23, PIRN_FRAME_X19 + 32
        .cfi_rel_offset x24, PIRN_FRAME_X19 + 40
        .cfi_rel_offset x25, PIRN_FRAME_X19 + 48
        .cfi_rel_offset x26, PIRN_FRAME_X19 + 56
        .cfi_rel_offset x27, PIRN_FRAME_X19 + 64
        .cfi_rel_offset x28, PIRN_FRAME_X19 + 72
        .cfi_rel_offset d8, PIRN_FRAME_D8
        .cfi_rel_offset d9, PIRN_FRAME_D8 + 8
        .cfi_rel_offset d10, PIRN_FRAME_D8 + 16
        .cfi_rel_offset d11, PIRN_FRAME_D8 + 24
        .cfi_rel_offset d12, PIRN_FRAME_D8 + 32
        .cfi_rel_offset d13, PIRN_FRAME_D8 + 40
        .cfi_rel_offset d14, PIRN_FRAME_D8 + 48
        .cfi_rel_offset d15, PIRN_FRAME_D8 + 56
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1 /* the same rules now describe the other context */
        mov     x0, x2
        ldp     d14, d15, [sp, #PIRN_FRAME_D8 + 48]
        ldp     d12, d13, [sp, #PIRN_FRAME_D8 + 32]
        ldp     d10, d11, [sp, #PIRN_FRAME_D8 + 16]
        ldp     d8, d9, [sp, #PIRN_FRAME_D8]
        ldp     x27, x28, [sp, #PIRN_FRAME_X19 + 64]
        ldp     x25, x26, [sp, #PIRN_FRAME_X19 + 48]
        ldp     x23, x24, [sp, #PIRN_FRAME_X19 + 32]
        ldp     x21, x22, [sp, #PIRN_FRAME_X19 + 16]
        ldp     x19, x20, [sp, #PIRN_FRAME_X19]
        ldp     x29, x30, [sp, #PIRN_FRAME_FP]
        add     sp, sp, #PIRN_FRAME_SIZE
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x23
        .cfi_restore x24
        .cfi_restore x25
        .cfi_restore x26
        .cfi_restore x27
        .cfi_restore x28
        .cfi_restore d8
        .cfi_restore d9
        .cfi_restore d10
        .cfi_restore d11
        .cfi_restore d12
        .cfi_restore d13
        .cfi_restore d14
        .cfi_restore d15
        ret
        .cfi_endproc
        .size   pirn_context_switch, . - pirn_context_switch

        .globl  pirn_context_start
        .hidden pirn_context_start
        .type   pirn_context_start, %function
        .p2align 4
pirn_context_start: /* x0: arg, x19: entry, x29: 0 */
        .cfi_startproc
        .cfi_undefined x30
        hint    36 /* bti j */
        blr     x19
        brk     #1
        .cfi_endproc
        .size   pirn_context_start, . - pirn_context_start

#ifdef __ARM_FEATURE_BTI_DEFAULT
        .section .note.gnu.property, "a", %note
        .p2align 3
        .long   4          /* name's size */
        .long   16         /* size of what follows the name */
        .long   5          /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000000 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
        .long   4
        .long   1          /* BTI */
        .long   0
#endif

#endif
        .section .note.GNU-stack, "", %progbits
