/*
 * The runtime as an object: run it, stop it, run it again, live beside a foreign loop.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_LOOP_H
#define PIRN_LOOP_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#endif
