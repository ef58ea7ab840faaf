/*
 * Waiting for several awaitables at once, timeouts, task groups.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_COMBINE_H
#define PIRN_COMBINE_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#endif
