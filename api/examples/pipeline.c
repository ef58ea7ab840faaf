/*
 * A pipeline, as in Go: stages that run at the same time, and channels between them.
 *
 *     count --numbers--> work, work, ... --found--> collect
 *
 * pipeline [NUMBERS [WORKERS [MS]]] looks for the number, of 1 to NUMBERS, that takes the most
 * steps down to 1, if what is even is halved, and anything else tripled and made one more; 100000,
 * 4, 0 if nothing is said. When MS milliseconds are over (0: never), or Ctrl-C comes, it says what
 * it has found by then.
 *
 * A stage that is through closes the channel that it sends to, and so the next one comes to its
 * end. The last may have enough before that: it is the body of the scope whose children the others
 * are, and cancels it.
 */
#include <errno.h>
#include <pirn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct path {
    int from, steps;
} path;

typedef struct pipeline {
    pirn_channel *numbers;    /* of int */
    pirn_channel *found;      /* of path */
    pirn_channel *interrupts; /* of nothing: Go's chan struct{} */
    int count, workers, ms;
} pipeline;

typedef struct outcome {
    const char *end; /* why there is no more; NULL: there is */
    int seen;
    path longest;
} outcome;

static int count(void *arg)
{
    const pipeline *p = arg;
    int rc = 0;
    for (int n = 0; rc == 0 && n < p->count;) {
        n++;
        rc = pirn_channel_send(p->numbers, &n, PIRN_NEVER);
    }
    pirn_channel_close(p->numbers, PIRN_CHANNEL_SEND);
    return rc;
}

static int steps_down(uint64_t n)
{
    int steps = 0;
    for (; n != 1; steps++)
        n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return steps;
}

static int work(void *arg)
{
    const pipeline *p = arg;
    path mine;
    int rc;
    while ((rc = pirn_channel_recv(p->numbers, &mine.from, PIRN_NEVER)) == 1) {
        mine.steps = steps_down((uint64_t)mine.from);
        rc = pirn_channel_send(p->found, &mine, PIRN_NEVER);
        if (rc != 0)
            break;
    }
    return rc; /* 0: there are no more numbers */
}

/* Closing the scope waits for all workers, as a Go program does by a wait group. */
static int work_together(void *arg)
{
    const pipeline *p = arg;
    pirn_scope *workers;
    int rc = pirn_scope_open(&workers, 0);
    if (rc != 0)
        return rc;
    for (int i = 0; rc == 0 && i < p->workers; i++)
        rc = pirn_scope_spawn(workers, work, arg, PIRN_NEVER);
    if (rc != 0)
        pirn_scope_fail(workers, rc);
    rc = pirn_scope_close(workers, PIRN_NEVER);
    pirn_channel_close(p->found, PIRN_CHANNEL_SEND);
    return rc;
}

/* Takes what is found until there is no more, it is time, or somebody says so. */
static int collect(const pipeline *p, outcome *o)
{
    path next;
    pirn_case cases[] = {pirn_case_recv(p->found, &next), pirn_case_recv(p->interrupts, NULL)};
    pirn_time deadline = p->ms > 0 ? pirn_after_ms(p->ms) : PIRN_NEVER;

    for (;;) {
        int which = pirn_select(cases, 2, deadline);
        if (which == -ETIMEDOUT)
            o->end = "time is up";
        else if (which < 0)
            return which;
        else if (which == 1)
            o->end = "interrupted";
        else if (cases[0].result == 0)
            o->end = "done";
        if (o->end != NULL)
            return 0;
        o->seen++;
        if (next.steps > o->longest.steps ||
            (next.steps == o->longest.steps && next.from < o->longest.from))
            o->longest = next;
    }
}

static int interrupt(void *arg)
{
    const pipeline *p = arg;
    int rc = pirn_channel_try_send(p->interrupts, NULL);
    return rc == -EAGAIN ? 0 : rc; /* there is one in it already */
}

static int start(void *arg)
{
    outcome o = {NULL, 0, {1, 0}};
    pirn_scope *stages;
    int rc = pirn_signal_add(SIGINT, interrupt, arg, NULL);
    if (rc == 0)
        rc = pirn_scope_open(&stages, 0);
    if (rc != 0)
        return rc;
    printf("looking; Ctrl-C ends it\n");
    fflush(stdout);
    rc = pirn_scope_spawn(stages, count, arg, PIRN_NEVER);
    if (rc == 0)
        rc = pirn_scope_spawn(stages, work_together, arg, PIRN_NEVER);
    if (rc == 0)
        rc = collect(arg, &o);
    if (rc == 0)
        pirn_scope_cancel(stages, o.end); /* which is nothing to those that have ended */
    else
        pirn_scope_fail(stages, rc);
    rc = pirn_scope_close(stages, PIRN_NEVER);
    if (rc == 0)
        printf("%s: of %d numbers %d takes %d steps\n", o.end, o.seen, o.longest.from,
               o.longest.steps);
    return rc;
}

static int run(pipeline *p)
{
    int rc = pirn_channel_new(&p->numbers, sizeof(int), 64, NULL);
    if (rc == 0)
        rc = pirn_channel_new(&p->found, sizeof(path), 64, NULL);
    if (rc == 0)
        rc = pirn_channel_new(&p->interrupts, 0, 1, NULL);
    if (rc == 0)
        rc = pirn_run(start, p);
    /* Every coroutine has ended, interrupt() too: nobody uses them any more. */
    pirn_channel_release(p->numbers);
    pirn_channel_release(p->found);
    pirn_channel_release(p->interrupts);
    return rc;
}

int main(int argc, char **argv)
{
    pipeline p = {.count = 100000, .workers = 4, .ms = 0};

    if (argc > 1)
        p.count = atoi(argv[1]);
    if (argc > 2)
        p.workers = atoi(argv[2]);
    if (argc > 3)
        p.ms = atoi(argv[3]);
    if (argc > 4 || p.count < 1 || p.workers < 1 || p.ms < 0) {
        fprintf(stderr, "usage: pipeline [NUMBERS [WORKERS [MS]]]\n");
        return 2;
    }
    int rc = run(&p);
    if (rc < 0) {
        fprintf(stderr, "pipeline: %s\n", strerror(-rc));
        return 1;
    }
    return 0;
}
