/*
 * Row file: random reads of 4 KiB, at aligned places, from a file of its own, with so many under
 * way at a time; each task has a buffer and a generator of its own, and reads its share.
 *
 *   tasks=128 reads=400000 (together) mib=256 dir=/var/tmp workers=2
 *   variant=direct: the file is opened with O_DIRECT, reads=60000
 *   variant=bare: as many plain threads as workers make the system call that pirn makes, and
 *   nothing else: what reads take that must not block
 *
 * Hot, medians of nine turns on a quiet machine: 524 ns a read (1,024 of CPU, nine tenths of it the
 * kernel's), Go 522 (983). Beside other load 1,012 and Go 823 (medians of five).
 * O_DIRECT: 14.2 us a read, fio 14.1, Go 26.9; CPU 4.7, 5.5 and 17 us: the device.
 *
 * Hot, the file is in the cache: it has just been written. Every byte range that is read begins
 * with its own number, so that what was read is looked at.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <pirn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    BLOCK = 4096
};

struct plan {
    int64_t tasks, reads, blocks;
    int fd;
    _Atomic uint64_t seeds;
};

static int reader(void *arg)
{
    struct plan *plan = arg;
    uint64_t random = ++plan->seeds * 0x9e3779b97f4a7c15u;
    uint64_t *block = NULL;
    if (posix_memalign((void **)&block, BLOCK, BLOCK) != 0)
        return -ENOMEM;
    int rc = 0;
    for (int64_t i = 0; i < plan->reads / plan->tasks && rc == 0; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t at = (random >> 33) % (uint64_t)plan->blocks;
        ssize_t n = pirn_pread(plan->fd, block, BLOCK, (off_t)at * BLOCK, PIRN_NEVER);
        if (n != BLOCK || *block != at)
            rc = n < 0 ? (int)n : -EILSEQ;
    }
    free(block);
    return rc;
}

/* One of `workers` threads, with the buffers of its share of the tasks. */
static void *bare_reader(void *arg)
{
    struct plan *plan = arg;
    int64_t threads = bench_int("workers", 2), reads = plan->reads / threads;
    size_t buffers = (size_t)(plan->tasks / threads), next = 0;
    uint64_t random = ++plan->seeds * 0x9e3779b97f4a7c15u;
    char *memory = NULL;
    if (posix_memalign((void **)&memory, BLOCK, buffers * BLOCK) != 0)
        bench_fail("memory", ENOMEM);
    for (int64_t i = 0; i < reads; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t at = (random >> 33) % (uint64_t)plan->blocks;
        uint64_t *block = (uint64_t *)(void *)(memory + next * BLOCK);
        struct iovec iov = {block, BLOCK};
        next = next + 1 == buffers ? 0 : next + 1;
        ssize_t n = preadv2(plan->fd, &iov, 1, (off_t)at * BLOCK, RWF_NOWAIT);
        if (n != BLOCK || *block != at)
            bench_fail("preadv2", n < 0 ? errno : EILSEQ);
    }
    free(memory);
    return NULL;
}

static void report(int64_t begin, int64_t cpu, double ops)
{
    double took = (double)(bench_now() - begin), used = (double)(bench_cpu() - cpu);
    bench_out("ns_per_op", took / ops);
    bench_out("cpu_ns_per_op", used / ops);
    bench_out("reads_per_s", ops / took * 1e9);
}

static void run_bare(struct plan *plan)
{
    enum {
        MOST = 64
    };
    pthread_t threads[MOST];
    int64_t n = bench_int("workers", 2), begin = bench_now(), cpu = bench_cpu();
    if (n < 1 || n > MOST || n > plan->tasks)
        bench_fail("workers", EINVAL);
    for (int64_t i = 0; i < n; i++) {
        int error = pthread_create(&threads[i], NULL, bare_reader, plan);
        if (error != 0)
            bench_fail("pthread_create", error);
    }
    for (int64_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    report(begin, cpu, (double)(plan->reads / n * n));
}

static int run(void *arg)
{
    struct plan *plan = arg;
    size_t tasks = (size_t)plan->tasks;
    pirn_task **all = bench_alloc(tasks, sizeof(pirn_task *));
    int64_t begin = bench_now(), cpu = bench_cpu();
    for (size_t i = 0; i < tasks; i++)
        bench_ok(pirn_spawn(&all[i], reader, plan), "spawn");
    for (size_t i = 0; i < tasks; i++) {
        int status;
        bench_ok(pirn_join(all[i], &status, PIRN_NEVER), "join");
        bench_ok(status, "a reader");
    }
    report(begin, cpu, (double)(plan->reads / plan->tasks * plan->tasks));
    free(all);
    return 0;
}

/* The file has no name any more when it is returned. */
static int make_file(const char *dir, int64_t blocks, bool direct)
{
    char path[256];
    uint64_t *block = bench_alloc(1, BLOCK);
    snprintf(path, sizeof path, "%s/bench-file-XXXXXX", dir);
    int fd = mkstemp(path);
    if (fd < 0)
        bench_fail(path, errno);
    for (int64_t i = 0; i < blocks; i++) {
        *block = (uint64_t)i;
        if (write(fd, block, BLOCK) != BLOCK)
            bench_fail("write", errno);
    }
    fsync(fd);
    free(block);
    int opened = open(path, O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
    if (opened < 0)
        bench_fail(direct ? "O_DIRECT" : "open", errno);
    unlink(path);
    close(fd);
    return opened;
}

void bench_row_file(void)
{
    const char *variant = bench_arg("variant", "hot");
    bool direct = strcmp(variant, "direct") == 0;
    struct plan plan = {
        .tasks = bench_int("tasks", 128),
        .reads = bench_int("reads", direct ? 60000 : 400000),
        .blocks = bench_int("mib", 256) * (1024 * 1024 / BLOCK),
    };
    plan.fd = make_file(bench_arg("dir", "/var/tmp"), plan.blocks, direct);
    if (strcmp(variant, "bare") == 0)
        run_bare(&plan);
    else
        bench_run((int)bench_int("workers", 2), run, &plan);
    close(plan.fd);
}
