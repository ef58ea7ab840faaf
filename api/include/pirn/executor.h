/*
 * Thread pools and process pools.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_EXECUTOR_H
#define PIRN_EXECUTOR_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#endif
