/*
 * How the simulated program's accesses are seen: it is compiled as for ThreadSanitizer, so that a
 * call comes before each of its accesses to memory, plain or atomic; and here, in that sanitizer's
 * stead, is what is called. An atomic access is made here, in one piece: no processor's turn ends
 * within one.
 */
#include <stdatomic.h>
#include <stdint.h>

#include "perf/simulate/machine.h"

/* ---- Plain accesses ------------------------------------------------------------------------- */

#define PLAIN(bytes) \
    void __tsan_read##bytes(void *at); \
    void __tsan_write##bytes(void *at); \
    void __tsan_unaligned_read##bytes(void *at); \
    void __tsan_unaligned_write##bytes(void *at); \
    void __tsan_volatile_read##bytes(void *at); \
    void __tsan_volatile_write##bytes(void *at); \
    void __tsan_read_write##bytes(void *at); \
    void __tsan_unaligned_read_write##bytes(void *at); \
    void __tsan_read##bytes(void *at) \
    { \
        machine_touch((uintptr_t)at, bytes, ACCESS_READ); \
    } \
    void __tsan_write##bytes(void *at) \
    { \
        machine_touch((uintptr_t)at, bytes, ACCESS_WRITE); \
    } \
    void __tsan_unaligned_read##bytes(void *at) \
    { \
        machine_touch((uintptr_t)at, bytes, ACCESS_READ); \
    } \
    void __tsan_unaligned_write##bytes(void *at) \
    { \
        machine_touch((uintptr_t)at, bytes, ACCESS_WRITE); \
    } \
    void __tsan_volatile_read##bytes(void *at) \
    { \
        machine_touch((uintptr_t)at, bytes, ACCESS_READ); \
    } \
    void __tsan_volatile_write##bytes(void *at) \
    { \
        machine_touch((uintptr_t)at, bytes, ACCESS_WRITE); \
    } \
    void __tsan_read_write##bytes(void *at) \
    { \
        machine_touch((uintptr_t)at, bytes, ACCESS_WRITE); \
    } \
    void __tsan_unaligned_read_write##bytes(void *at) \
    { \
        machine_touch((uintptr_t)at, bytes, ACCESS_WRITE); \
    }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_init(void);
void __tsan_read_range(void *at, unsigned long bytes);
void __tsan_write_range(void *at, unsigned long bytes);
void __tsan_func_entry(void *from);
void __tsan_func_exit(void);
void *__tsan_memcpy(void *to, const void *from, unsigned long bytes);
void *__tsan_memmove(void *to, const void *from, unsigned long bytes);
void *__tsan_memset(void *to, int byte, unsigned long bytes);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *from)
{
    (void)from;
}

void __tsan_func_exit(void)
{
}

void __tsan_read_range(void *at, unsigned long bytes)
{
    if (bytes != 0)
        machine_touch((uintptr_t)at, (unsigned)bytes, ACCESS_READ);
}

void __tsan_write_range(void *at, unsigned long bytes)
{
    if (bytes != 0)
        machine_touch((uintptr_t)at, (unsigned)bytes, ACCESS_WRITE);
}

void *__tsan_memcpy(void *to, const void *from, unsigned long bytes)
{
    __tsan_read_range((void *)(uintptr_t)from, bytes);
    __tsan_write_range(to, bytes);
    return __builtin_memcpy(to, from, bytes);
}

void *__tsan_memmove(void *to, const void *from, unsigned long bytes)
{
    __tsan_read_range((void *)(uintptr_t)from, bytes);
    __tsan_write_range(to, bytes);
    return __builtin_memmove(to, from, bytes);
}

void *__tsan_memset(void *to, int byte, unsigned long bytes)
{
    __tsan_write_range(to, bytes);
    return __builtin_memset(to, byte, bytes);
}

/* ---- Atomic accesses ------------------------------------------------------------------------ */

#define MODIFY(bits, name) \
    uint##bits##_t __tsan_atomic##bits##_fetch_##name(volatile uint##bits##_t *at, \
                                                      uint##bits##_t by, int order); \
    uint##bits##_t __tsan_atomic##bits##_fetch_##name(volatile uint##bits##_t *at, \
                                                      uint##bits##_t by, int order) \
    { \
        (void)order; \
        machine_touch((uintptr_t)at, bits / 8, ACCESS_MODIFY); \
        return __atomic_fetch_##name(at, by, __ATOMIC_SEQ_CST); \
    }

#define COMPARE(bits, name) \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile uint##bits##_t *at, \
                                                      uint##bits##_t *expected, uint##bits##_t to, \
                                                      int order, int fail); \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile uint##bits##_t *at, \
                                                      uint##bits##_t *expected, uint##bits##_t to, \
                                                      int order, int fail) \
    { \
        (void)order; \
        (void)fail; \
        machine_touch((uintptr_t)at, bits / 8, ACCESS_MODIFY); \
        return __atomic_compare_exchange_n(at, expected, to, 0, __ATOMIC_SEQ_CST, \
                                           __ATOMIC_SEQ_CST); \
    }

#define ATOMIC(bits) \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order); \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t to, int order); \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *at, uint##bits##_t to, \
                                                  int order); \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val( \
        volatile uint##bits##_t *at, uint##bits##_t expected, uint##bits##_t to, int order, \
        int fail); \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order) \
    { \
        (void)order; \
        machine_touch((uintptr_t)at, bits / 8, ACCESS_READ); \
        return __atomic_load_n(at, __ATOMIC_SEQ_CST); \
    } \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t to, int order) \
    { \
        machine_touch((uintptr_t)at, bits / 8, \
                      order == __ATOMIC_SEQ_CST ? ACCESS_MODIFY : ACCESS_WRITE); \
        __atomic_store_n(at, to, __ATOMIC_SEQ_CST); \
    } \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *at, uint##bits##_t to, \
                                                  int order) \
    { \
        (void)order; \
        machine_touch((uintptr_t)at, bits / 8, ACCESS_MODIFY); \
        return __atomic_exchange_n(at, to, __ATOMIC_SEQ_CST); \
    } \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val( \
        volatile uint##bits##_t *at, uint##bits##_t expected, uint##bits##_t to, int order, \
        int fail) \
    { \
        (void)order; \
        (void)fail; \
        machine_touch((uintptr_t)at, bits / 8, ACCESS_MODIFY); \
        __atomic_compare_exchange_n(at, &expected, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        return expected; \
    } \
    COMPARE(bits, strong) \
    COMPARE(bits, weak) \
    MODIFY(bits, add) \
    MODIFY(bits, sub) \
    MODIFY(bits, and) \
    MODIFY(bits, or) \
    MODIFY(bits, xor)

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_atomic_thread_fence(int order)
{
    if (order == __ATOMIC_SEQ_CST)
        machine_fence();
}

void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}
