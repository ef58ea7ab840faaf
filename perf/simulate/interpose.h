/*
 * Included before everything else where the simulated program is compiled: what it calls by name in
 * the C library becomes the simulated kernel's (kernel.c).
 */
#ifndef PIRN_PERF_INTERPOSE_H
#define PIRN_PERF_INTERPOSE_H

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int simulated_clock_gettime(clockid_t clock, struct timespec *ret_now);
int simulated_clock_nanosleep(clockid_t clock, int flags, const struct timespec *until,
                              struct timespec *ret_left);
void *simulated_malloc(size_t bytes);
void *simulated_calloc(size_t count, size_t bytes);
int simulated_yield(void);
int simulated_mutex_lock(pthread_mutex_t *mutex);
int simulated_mutex_trylock(pthread_mutex_t *mutex);
int simulated_mutex_unlock(pthread_mutex_t *mutex);
int simulated_join(pthread_t thread, void **ret_value);
int simulated_getcpuclockid(pthread_t thread, clockid_t *ret_clock);
pthread_t simulated_self(void);
pid_t simulated_gettid(void);

#define clock_gettime simulated_clock_gettime
#define clock_nanosleep simulated_clock_nanosleep
#define malloc simulated_malloc
#define calloc simulated_calloc
#define sched_yield simulated_yield
#define pthread_mutex_lock simulated_mutex_lock
#define pthread_mutex_trylock simulated_mutex_trylock
#define pthread_mutex_unlock simulated_mutex_unlock
#define pthread_join simulated_join
#define pthread_getcpuclockid simulated_getcpuclockid
#define pthread_self simulated_self
#define gettid simulated_gettid

#endif
