/*
 * Queues: first in first out, last in first out, by priority.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_QUEUE_H
#define PIRN_QUEUE_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#endif
