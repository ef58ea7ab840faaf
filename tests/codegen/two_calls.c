/*
 * What test_tls.sh compiles and disassembles: two readings of a thread-local with a switch between.
 */
#include "runtime/context.h"
#include "runtime/self.h"

int two_calls(void **save_sp, void *to_sp);

int two_calls(void **save_sp, void *to_sp)
{
    const void *before = pirn_self();
    context_switch(save_sp, to_sp, NULL);
    return before != (const void *)pirn_self();
}
