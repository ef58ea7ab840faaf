/*
 * Row skynet: a tree of coroutines, ten children to a node; each leaf sends its number to its
 * parent over a channel, each node the sum of what its children sent.
 *
 *   leaves=1000000 (a power of ten) capacity=0 (of the channels) workers=2
 *
 * ns a leaf (medians of 5 in turns): 2 workers 105, before 449, Go 1,005; 1 worker 178, before 575,
 * Go 896. On a noisier day, 2 workers: 192 (135 to 203), Go 922, Tokio 994, asyncio 15,400.
 * Before, the tree was walked breadth first, so that a hundred thousand nodes waited at once, in no
 * cache any more; now a node's children come next when it parks (broods: sched/runq.h).
 * Later, medians of 5 in turns: 93, Go 717, Tokio 795, asyncio 12,480. Instructions a leaf on one
 * worker: 1,794; making, beginning and ending tasks 440, parking, queueing and resuming them 530,
 * the channel 280, stacks 115, the program 70.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>

enum {
    CHILDREN = 10
};

static size_t capacity;

struct node {
    int64_t number, leaves; /* the first leaf below it, and how many */
    pirn_channel *up;
};

static int node(void *arg)
{
    struct node self = *(struct node *)arg;
    int64_t sum = self.number, one, each = self.leaves / CHILDREN;
    if (self.leaves > 1) {
        struct node children[CHILDREN];
        pirn_channel *results;
        bench_ok(pirn_channel_new(&results, sizeof sum, capacity, NULL), "channel");
        for (int i = 0; i < CHILDREN; i++) {
            children[i] = (struct node){self.number + i * each, each, pirn_channel_retain(results)};
            bench_ok(pirn_call_soon(NULL, NULL, node, &children[i]), "spawn");
        }
        sum = 0;
        for (int i = 0; i < CHILDREN; i++) {
            bench_ok(pirn_channel_recv(results, &one, PIRN_NEVER), "recv");
            sum += one;
        }
        pirn_channel_release(results);
    }
    bench_ok(pirn_channel_send(self.up, &sum, PIRN_NEVER), "send");
    pirn_channel_release(self.up);
    return 0;
}

static int run(void *arg)
{
    int64_t leaves = *(int64_t *)arg, sum;
    pirn_channel *result;
    bench_ok(pirn_channel_new(&result, sizeof sum, capacity, NULL), "channel");
    int64_t begin = bench_now(), cpu = bench_cpu();
    struct node root = {0, leaves, pirn_channel_retain(result)};
    bench_ok(pirn_call_soon(NULL, NULL, node, &root), "spawn");
    bench_ok(pirn_channel_recv(result, &sum, PIRN_NEVER), "recv");
    double took = (double)(bench_now() - begin), used = (double)(bench_cpu() - cpu);
    pirn_channel_release(result);
    if (sum != leaves * (leaves - 1) / 2)
        bench_fail("the sum is wrong", EILSEQ);
    bench_out("ns_per_op", took / (double)leaves);
    bench_out("cpu_ns_per_op", used / (double)leaves);
    return 0;
}

void bench_row_skynet(void)
{
    int64_t leaves = bench_int("leaves", 1000000);
    capacity = (size_t)bench_int("capacity", 0);
    bench_run((int)bench_int("workers", 2), run, &leaves);
}
