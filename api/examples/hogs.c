/*
 * hogs: coroutines that never suspend, and one that must not suffer from it. Spinners compute,
 * blockers sit in read(2); beside them a ticker wakes every millisecond and prints how late it was.
 * hogs [--workers W] [--spinners N] [--blockers N] [--seconds S]
 */
#include <errno.h>
#include <getopt.h>
#include <pirn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TICK_MS = 1,
    LINE_MS = 500,
    MAX_SAMPLES = LINE_MS / TICK_MS
};

typedef struct show {
    int workers, spinners, blockers;
    double seconds;
    pirn_time end;
    int pipe[2];     /* nobody writes: a read(2) here blocks until the write end is closed */
    atomic_int stop; /* the ticker sets it, the spinners read it */
    long samples[MAX_SAMPLES]; /* lateness in us; the ticker's */
} show;

static int spinner(void *arg)
{
    show *s = arg;
    volatile unsigned long work = 0; /* a long computation: no call into pirn at all */

    while (!atomic_load_explicit(&s->stop, memory_order_relaxed))
        work++;
    return 0;
}

static int blocker(void *arg)
{
    const show *s = arg;
    char byte;

    /* Deliberately not pirn_read: this holds its worker inside the kernel. */
    return read(s->pipe[0], &byte, 1) < 0 ? -errno : 0;
}

static int by_value(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;

    return (x > y) - (x < y);
}

static void print_line(show *s, int n, pirn_time begun)
{
    pirn_stats stats = {.size = sizeof stats};

    qsort(s->samples, (size_t)n, sizeof s->samples[0], by_value);
    pirn_stats_get(NULL, &stats);
    printf("%5.1f s: %3d ticks, late by %ld us (median), %ld us (p99), %ld us (worst); "
           "%llu threads\n",
           (double)(pirn_now().ns - begun.ns) / 1e9, n, s->samples[n / 2], s->samples[n * 99 / 100],
           s->samples[n - 1], (unsigned long long)stats.threads);
    fflush(stdout);
}

/* Wakes every millisecond until the show ends; a line now and then. */
static int tick(show *s)
{
    pirn_time begun = pirn_now(), line = pirn_after_ms(LINE_MS), due, now;
    pirn_ticker ticker;
    int n = 0, err = pirn_ticker_init(&ticker, pirn_span_ms(TICK_MS), PIRN_MISSED_SKIP);

    while (err >= 0) {
        due = ticker.next;
        err = pirn_ticker_wait(&ticker);
        now = pirn_now();
        if (err < 0)
            break;
        s->samples[n++] = (long)(now.ns - due.ns) / 1000;
        if (n == MAX_SAMPLES || now.ns >= line.ns || now.ns >= s->end.ns) {
            print_line(s, n, begun);
            n = 0;
            line = pirn_after_ms(LINE_MS);
        }
        if (now.ns >= s->end.ns)
            return 0;
    }
    return err;
}

static int spawn_hogs(show *s, pirn_scope *scope)
{
    int i, err = 0;

    for (i = 0; i < s->spinners && err == 0; i++)
        err = pirn_scope_spawn(scope, spinner, s, PIRN_NEVER);
    for (i = 0; i < s->blockers && err == 0; i++)
        err = pirn_scope_spawn(scope, blocker, s, PIRN_NEVER);
    return err;
}

static int start(void *arg)
{
    show *s = arg;
    pirn_scope *scope;
    int closed, err = pirn_scope_open(&scope, 0);

    if (err < 0)
        return err;
    s->end = pirn_after_s(s->seconds);
    err = spawn_hogs(s, scope);
    if (err == 0)
        err = tick(s);
    /* A cancel would not reach the hogs, for they never suspend: end them by hand. */
    atomic_store_explicit(&s->stop, 1, memory_order_relaxed);
    close(s->pipe[1]);
    closed = pirn_scope_close(scope, PIRN_NEVER);
    return err < 0 ? err : closed;
}

static int parse(show *s, int argc, char **argv)
{
    static const struct option known[] = {{"workers", required_argument, NULL, 'w'},
                                          {"spinners", required_argument, NULL, 's'},
                                          {"blockers", required_argument, NULL, 'b'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "w:s:b:t:", known, NULL)) != -1) {
        if (c == 'w')
            s->workers = atoi(optarg);
        else if (c == 's')
            s->spinners = atoi(optarg);
        else if (c == 'b')
            s->blockers = atoi(optarg);
        else if (c == 't')
            s->seconds = atof(optarg);
        else
            return -EINVAL;
    }
    return optind == argc && s->spinners >= 0 && s->blockers >= 0 && s->seconds > 0 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    static show s = {.workers = 2, .spinners = 2, .blockers = 2, .seconds = 3};
    pirn_config config = PIRN_CONFIG_INIT;
    int err, status = 0;

    if (parse(&s, argc, argv) < 0) {
        fprintf(stderr, "usage: hogs [--workers W] [--spinners N] [--blockers N] [--seconds S]\n");
        return 2;
    }
    if (pipe(s.pipe) < 0) {
        perror("hogs: pipe");
        return 1;
    }
    config.workers = s.workers;
    err = pirn_run_with(&config, start, &s, &status);
    close(s.pipe[0]);
    if (err == 0)
        err = status;
    if (err < 0)
        fprintf(stderr, "hogs: %s\n", strerror(-err));
    return err < 0;
}
