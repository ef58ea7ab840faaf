/*
 * The context switch on x86-64. Its contract and the frame's layout are in context.h.
 *
 * It resumes with a jmp: the return predictor expects the other context's return address, so a ret
 * is mispredicted every time (2.6 against 7.7 ns a switch).
 */
#if defined(__x86_64__) && defined(__LP64__)

#include "runtime/context.h"

/* With -fcf-protection, jumps are tracked; a return address carries no endbr64. */
#if defined(__CET__) && (__CET__ & 1)
#define NOTRACK notrack
#else
#define NOTRACK
#endif

        .text
        .globl  pirn_context_switch
        .hidden pirn_context_switch
        .type   pirn_context_switch, @function
        .p2align 4
pirn_context_switch: /* rdi: save_sp, rsi: to_sp, rdx: arg; on the stack: where to return */
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        movq    %rdx, %rax
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp /* the same rules now describe the other context */
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rcx
        NOTRACK jmp *%rcx
        .cfi_endproc
        .size   pirn_context_switch, . - pirn_context_switch

        .globl  pirn_context_start
        .hidden pirn_context_start
        .type   pirn_context_start, @function
        .p2align 4
pirn_context_start: /* rax: arg, on the stack: entry, rbp: 0 */
        .cfi_startproc
        .cfi_undefined %rip
        endbr64
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        movq    %rax, %rdi
        callq   *%rcx
        ud2
        .cfi_endproc
        .size   pirn_context_start, . - pirn_context_start

#if defined(__CET__) && (__CET__ & 1)
        .section .note.gnu.property, "a", @note
        .p2align 3
        .long   4          /* name's size */
        .long   16         /* size of what follows the name */
        .long   5          /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000002 /* GNU_PROPERTY_X86_FEATURE_1_AND */
        .long   4
        .long   1          /* IBT */
        .long   0
#endif

#endif
        .section .note.GNU-stack, "", %progbits
