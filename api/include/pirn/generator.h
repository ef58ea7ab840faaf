/*
 * Generators, and cleanups that run however a task ends.
 *
 * Part of <pirn.h>, which is what programs include; the conventions at its head hold here.
 */
#ifndef PIRN_GENERATOR_H
#define PIRN_GENERATOR_H

#ifndef PIRN_H
#error "include <pirn.h>"
#endif

#endif
