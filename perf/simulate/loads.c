/*
 * The loads: ordinary programs on pirn's interface, compiled for the simulated machine.
 *
 *   poisson   tasks arrive at exponential distances and compute for an exponential time. Each
 *             acceptor is a coroutine that sleeps until the next one is due and spawns what is;
 *             they were spawned on different workers' behalf, but live where the scheduler has
 *             them. With one worker and one acceptor this is M/M/1, first come, first served.
 *   tree      fork and join, ten children a node, work in the leaves alone
 *   pairs     as many pairs as workers throw words to and fro over channels without capacity
 *   producer  one coroutine spawns everything, as fast as it can
 */
#include <pirn.h>
#include <stdlib.h>

#include "perf/simulate/measure.h"

enum {
    CHILDREN = 10,
    SPREAD_NS = 100000
};

static void ok(int rc)
{
    if (rc < 0)
        abort();
}

/* ---- poisson, producer ----------------------------------------------------------------------- */

static pirn_future *all_done;

static int work(void *arg)
{
    const struct load_job *job = arg;
    load_task(job->came);
    load_compute(job->takes);
    if (load_task_ends())
        ok(pirn_future_set(all_done, 0, NULL));
    return 0;
}

struct acceptor {
    const struct load *load;
    struct load_job *jobs;
    int64_t count, begin, distance;
};

static int take_jobs(void *arg)
{
    struct acceptor *a = arg;
    load_spread(SPREAD_NS); /* so that others take the other acceptors to their workers */
    if (a->distance == 0)
        pirn_sleep((pirn_time){a->begin});
    for (int64_t i = 0; i < a->count; i++) {
        if (a->distance != 0 && a->jobs[i].came > load_now())
            pirn_sleep((pirn_time){a->jobs[i].came});
        else if (a->distance == 0)
            a->jobs[i].came = load_now();
        ok(pirn_call_soon(NULL, NULL, work, &a->jobs[i]));
    }
    return 0;
}

/* distance: between arrivals at one acceptor; 0: as fast as can be. */
static int run_jobs(const struct load *load, int acceptors, double distance)
{
    struct acceptor *all = calloc((size_t)acceptors, sizeof(*all));
    int64_t each = load->tasks / acceptors + 1;
    int64_t begin = load_now() + 3 * SPREAD_NS + acceptors * SPREAD_NS / 4;
    if (all == NULL)
        abort();
    ok(pirn_future_new(&all_done));
    for (int i = 0; i < acceptors; i++) {
        struct load_job *jobs = load_jobs(load, i, each, begin, distance);
        all[i] = (struct acceptor){load, jobs, each, begin, (int64_t)distance};
        ok(pirn_call_soon(NULL, NULL, take_jobs, &all[i]));
    }
    pirn_sleep((pirn_time){begin - SPREAD_NS});
    load_begin(load, each * acceptors);
    ok(pirn_future_await(all_done, NULL, NULL, PIRN_NEVER));
    load_end();
    return 0;
}

int load_poisson(void *arg)
{
    const struct load *load = arg;
    double distance =
        (double)load->service_ns * load->acceptors * 100 / load->percent / load->workers;
    return run_jobs(load, load->acceptors, distance);
}

int load_producer(void *arg)
{
    return run_jobs(arg, 1, 0);
}

/* ---- tree ------------------------------------------------------------------------------------ */

struct node {
    int64_t leaves, came, takes;
};

static int node(void *arg)
{
    struct node self = *(struct node *)arg, children[CHILDREN];
    pirn_task *tasks[CHILDREN];
    load_task(self.came);
    if (self.leaves == 1)
        load_compute(self.takes);
    for (int i = 0; i < CHILDREN && self.leaves > 1; i++) {
        children[i] = (struct node){self.leaves / CHILDREN, load_now(), self.takes};
        ok(pirn_spawn(&tasks[i], node, &children[i]));
    }
    for (int i = 0; i < CHILDREN && self.leaves > 1; i++)
        ok(pirn_join(tasks[i], NULL, PIRN_NEVER));
    load_task_ends();
    return 0;
}

/* As many nodes as make a full tree with at least so many leaves. */
int load_tree(void *arg)
{
    const struct load *load = arg;
    pirn_task *task;
    struct node root = {1, 0, load->service_ns};
    int64_t nodes = 1;
    while (root.leaves < load->tasks) {
        root.leaves *= CHILDREN;
        nodes += root.leaves;
    }
    load_begin(load, nodes);
    root.came = load_now();
    ok(pirn_spawn(&task, node, &root));
    ok(pirn_join(task, NULL, PIRN_NEVER));
    load_end();
    return 0;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

struct pair {
    pirn_channel *there, *back;
    int64_t trips;
};

static int answer(void *arg)
{
    struct pair *pair = arg;
    int64_t word;
    for (int64_t i = 0; i < pair->trips; i++) {
        ok(pirn_channel_recv(pair->there, &word, PIRN_NEVER));
        ok(pirn_channel_send(pair->back, &word, PIRN_NEVER));
    }
    return 0;
}

static int ask(void *arg)
{
    struct pair *pair = arg;
    int64_t word = 0;
    for (int64_t i = 0; i < pair->trips; i++) {
        int64_t since = load_now();
        ok(pirn_channel_send(pair->there, &word, PIRN_NEVER));
        ok(pirn_channel_recv(pair->back, &word, PIRN_NEVER));
        load_task(since);
        load_task_ends();
    }
    return 0;
}

int load_pairs(void *arg)
{
    const struct load *load = arg;
    size_t n = (size_t)load->workers;
    struct pair *pairs = calloc(n, sizeof(*pairs));
    pirn_task **tasks = calloc(2 * n, sizeof(pirn_task *));
    if (pairs == NULL || tasks == NULL)
        abort();
    load_begin(load, load->tasks / load->workers * load->workers);
    for (size_t i = 0; i < n; i++) {
        pairs[i].trips = load->tasks / load->workers;
        ok(pirn_channel_new(&pairs[i].there, sizeof(int64_t), 0, NULL));
        ok(pirn_channel_new(&pairs[i].back, sizeof(int64_t), 0, NULL));
        ok(pirn_spawn(&tasks[2 * i], answer, &pairs[i]));
        ok(pirn_spawn(&tasks[2 * i + 1], ask, &pairs[i]));
    }
    for (size_t i = 0; i < 2 * n; i++)
        ok(pirn_join(tasks[i], NULL, PIRN_NEVER));
    load_end();
    return 0;
}
