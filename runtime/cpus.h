/* How many CPUs this process may use. */
#ifndef PIRN_RUNTIME_CPUS_H
#define PIRN_RUNTIME_CPUS_H

/*
 * The CPUs granted by the calling thread's affinity and by the CPU quotas of its control groups, at
 * least 1. root is put before every path that is read: "" in real life, a directory with made-up
 * files in tests.
 */
int pirn_cpus_granted(const char *root);

/* The control groups' part: quota / period rounded up, the least of all groups the process is in;
 * at least 1, INT_MAX without a quota. */
int pirn_cpus_quota(const char *root);

#endif
