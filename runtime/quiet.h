/*
 * Blocked for ever: has everything that could still happen happened? See quiet.c.
 */
#ifndef PIRN_RUNTIME_QUIET_H
#define PIRN_RUNTIME_QUIET_H

#include <stdbool.h>
#include <stdint.h>

struct pirn_runtime;

/* By rt's monitor, when it has found all workers asleep twice: reports, once for each time that
 * everything has come to rest, that it has, and every task that waits for ever; and ends the run if
 * it was asked to. True: it is not so yet, and may become so without anybody telling the
 * monitor. */
bool pirn_quiet_watch(struct pirn_runtime *rt);

/* The same: is it worth a look? Not while the kernel has an operation of rt's, or a deadline is to
 * come. */
bool pirn_quiet_may_be(struct pirn_runtime *rt);

/* Anybody: do all its workers sleep? If so, and again later with the same number, none of them ran
 * anything in between: the number grows when one wakes, before it does anything else. */
bool pirn_quiet_workers(struct pirn_runtime *rt, uint64_t *ret_passes);

#endif
