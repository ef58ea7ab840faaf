/*
 * What valgrind has to be told, where its header was there when the library was built. Outside of
 * it each of these is a few instructions without effect.
 */
#ifndef PIRN_IO_VALGRIND_H
#define PIRN_IO_VALGRIND_H

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_STACK_REGISTER(low, top) ((void)(low), (void)(top), 0u)
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#define VALGRIND_MAKE_MEM_DEFINED_IF_ADDRESSABLE(at, n) ((void)(at), (void)(n))
#endif

struct op;

/* The operation is done, and what the kernel wrote for it through the ring counts as written:
 * memcheck sees system calls only (valgrind.c). */
void pirn_valgrind_op_done(const struct op *op);

#endif
