/*
 * The bottom of a fresh context on x86-64. The switch itself is a few instructions in each function that
 * switches: context_switch in context.h.
 */
#if defined(__x86_64__) && defined(__LP64__)

#include "runtime/context.h"

        .text
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
