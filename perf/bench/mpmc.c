/*
 * Row mpmc: several coroutines send words over one channel to several others, each word to one of
 * them.
 *
 *   words=1000000 capacity=0 senders=4 receivers=4 workers=2
 *
 * ns a word, capacity 0, 1, 64, 1024: 60, 47, 28, 26 where one worker does it all (Go 130, 106, 38, 36 on
 * a machine so busy that it had one core, too); with two workers on two cores that are free, about
 * 180 to 350, 190 to 330, 80 to 140, 70, and Go 164 to 270, 230 to 370, 44 to 90, 41 to 49: the
 * channel's cache lines travel with every word. To be mended where coroutines are placed.
 */
#include "perf/bench/bench.h"
#include "perf/bench/rows.h"

#include <errno.h>
#include <pirn.h>
#include <stdlib.h>

struct plan {
    int64_t words, capacity, senders, receivers;
    pirn_channel *channel;
};

struct party {
    struct plan *plan;
    int64_t first, sum, count; /* of a sender: its first word; of a receiver: what it got */
};

static int sender(void *arg)
{
    struct party *self = arg;
    struct plan *plan = self->plan;
    for (int64_t word = self->first; word < plan->words; word += plan->senders)
        bench_ok(pirn_channel_send(plan->channel, &word, PIRN_NEVER), "send");
    return 0;
}

static int receiver(void *arg)
{
    struct party *self = arg;
    int64_t word, sum = 0, count = 0;
    while (bench_ok(pirn_channel_recv(self->plan->channel, &word, PIRN_NEVER), "recv") == 1) {
        sum += word;
        count++;
    }
    self->sum = sum;
    self->count = count;
    return 0;
}

static int run(void *arg)
{
    struct plan *plan = arg;
    size_t senders = (size_t)plan->senders, all = senders + (size_t)plan->receivers;
    pirn_task **tasks = bench_alloc(all, sizeof(pirn_task *));
    struct party *parties = bench_alloc(all, sizeof *parties);
    int64_t sum = 0, count = 0;
    bench_ok(pirn_channel_new(&plan->channel, sizeof(int64_t), (size_t)plan->capacity, NULL),
             "channel");
    int64_t begin = bench_now(), cpu = bench_cpu();
    for (size_t i = 0; i < all; i++) {
        parties[i] = (struct party){plan, (int64_t)i, 0, 0};
        bench_ok(pirn_spawn(&tasks[i], i < senders ? sender : receiver, &parties[i]), "spawn");
    }
    for (size_t i = 0; i < all; i++) {
        if (i == senders)
            bench_ok(pirn_channel_close(plan->channel, PIRN_CHANNEL_SEND), "close");
        bench_ok(pirn_join(tasks[i], NULL, PIRN_NEVER), "join");
    }
    double took = (double)(bench_now() - begin), used = (double)(bench_cpu() - cpu);
    for (size_t i = senders; i < all; i++) {
        sum += parties[i].sum;
        count += parties[i].count;
    }
    pirn_channel_release(plan->channel);
    free(tasks);
    free(parties);
    if (count != plan->words || sum != plan->words * (plan->words - 1) / 2)
        bench_fail("words got lost", EILSEQ);
    bench_out("ns_per_op", took / (double)plan->words);
    bench_out("cpu_ns_per_op", used / (double)plan->words);
    return 0;
}

void bench_row_mpmc(void)
{
    struct plan plan = {
        .words = bench_int("words", 1000000),
        .capacity = bench_int("capacity", 0),
        .senders = bench_int("senders", 4),
        .receivers = bench_int("receivers", 4),
    };
    bench_run((int)bench_int("workers", 2), run, &plan);
}
