/* What the library uses of Concurrency Kit, in C that the compiler sees: it cannot instrument
 * assembly. */
#ifndef PIRN_SIMULATE_CK_PR_H
#define PIRN_SIMULATE_CK_PR_H

void simulated_pause(void);

static inline void ck_pr_stall(void)
{
    simulated_pause();
}

#endif
