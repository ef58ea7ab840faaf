/*
 * Channels, and select over them.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_CHANNEL_H
#define PIRN_CHANNEL_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#endif
