/*
 * Locks and signals between coroutines and plain threads, in any mixture.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_SYNC_H
#define PIRN_SYNC_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#endif
