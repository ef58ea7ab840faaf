/*
 * Row mpmc: several coroutines send words over one channel to several others, each word to one of
 * them.
 *
 *   words=1000000 capacity=0 senders=4 receivers=4 workers=2
 *
 * ns a word, a million words, capacity 0, 1, 64, 1024, medians of 5 in turns: 58, 46, 22, 21.
 * Before what is there at once went without a struct wait (runtime/at_once.h), 300,000 words, in
 * turns with the peers: 61, 50, 30, 26; Go 175, 117, 43, 40; Tokio (flume) 381, 233, 34, 118, and
 * 43 at 1024 in another minute; asyncio 5,100 to 540. The best of it is what one worker takes with
 * the other asleep: the tasks are gathered, see runtime/pace.c. While they were spread it was 166,
 * 110, 68, 63 and the CPU of both cores: the channel's cache lines travelled with every word.
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
