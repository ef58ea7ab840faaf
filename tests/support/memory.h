/*
 * Allocations that fail on purpose, with the sanitizers as well: a test that includes this is
 * linked so that malloc and its kin, as the library and the test call them, come here first (ld's
 * --wrap). What other libraries allocate does not.
 */
#ifndef PIRN_TESTS_SUPPORT_MEMORY_H
#define PIRN_TESTS_SUPPORT_MEMORY_H

/* The nth allocation from now on fails (1: the next), on whatever thread, and so do the `more`
 * after it. */
void support_memory_fail(int nth, int more);
/* The next allocation of this thread fails; others' do not, as those of the monitor, which may
 * start a spare worker at any time. The caller stays on its thread until support_memory_works. */
void support_memory_fail_here(void);
/* Either is over: how many have failed. */
int support_memory_works(void);

#endif
