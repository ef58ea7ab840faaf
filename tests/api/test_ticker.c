/* Tickers: a steady grid, and what each policy does with ticks that were missed. */
#include "tests/support.h"

/* Ticks so far, dropped ones included, never run ahead of the clock. */
static void steady(void)
{
    pirn_missed policies[] = {PIRN_MISSED_BURST, PIRN_MISSED_SKIP, PIRN_MISSED_DELAY};
    for (int p = 0; p < 3; p++) {
        pirn_ticker ticker;
        int64_t period = 2 * MS, begin = support_now();
        CHECK_OK(pirn_ticker_init(&ticker, (pirn_span){period}, policies[p]));
        int64_t ticks = 0;
        for (int i = 0; i < 10; i++) {
            int dropped = pirn_ticker_wait(&ticker);
            CHECK_GE(dropped, 0);
            if (policies[p] == PIRN_MISSED_BURST)
                CHECK_EQ(dropped, 0);
            ticks += 1 + dropped;
            CHECK_GE(support_now() - begin, ticks * period);
        }
    }
}

START_TEST(steady_grid)
{
    support_everywhere(steady);
}
END_TEST

static const int64_t period = 10 * MS;

/* Late by five and a half periods: five further ticks are due at once, then the grid goes on. */
static void burst(void)
{
    pirn_ticker ticker;
    CHECK_OK(pirn_ticker_init(&ticker, (pirn_span){period}, PIRN_MISSED_BURST));
    int64_t begin = ticker.next.ns - period;
    CHECK_OK(pirn_sleep((pirn_time){begin + 6 * period + period / 2}));
    for (int i = 1; i <= 12; i++) {
        CHECK_EQ(pirn_ticker_wait(&ticker), 0);
        CHECK_GE(support_now(), begin + i * period);
        CHECK_EQ(ticker.next.ns, begin + (i + 1) * period); /* none is left out */
    }
}

static void skip(void)
{
    pirn_ticker ticker;
    CHECK_OK(pirn_ticker_init(&ticker, (pirn_span){period}, PIRN_MISSED_SKIP));
    int64_t begin = ticker.next.ns - period, ticks = 0, dropped = 0;
    CHECK_OK(pirn_sleep((pirn_time){begin + 6 * period + period / 2}));
    for (int i = 0; i < 4; i++) {
        int n = pirn_ticker_wait(&ticker);
        CHECK_GE(n, 0);
        dropped += n;
        ticks += 1 + n;
        CHECK_GE(support_now(), begin + ticks * period);
        CHECK_OK((ticker.next.ns - begin) % period); /* still on the grid */
    }
    CHECK_GE(dropped, 5);
    CHECK_GE(support_now(), begin + 9 * period); /* the later waits did wait */
}

static void delay(void)
{
    pirn_ticker ticker;
    CHECK_OK(pirn_ticker_init(&ticker, (pirn_span){period}, PIRN_MISSED_DELAY));
    int64_t begin = ticker.next.ns - period;
    CHECK_OK(pirn_sleep((pirn_time){begin + 6 * period + period / 3}));
    CHECK_GE(pirn_ticker_wait(&ticker), 0);
    int64_t late = begin + 6 * period + period / 3;
    for (int i = 1; i <= 3; i++) { /* a period between any two from here on */
        CHECK_EQ(pirn_ticker_wait(&ticker), 0);
        CHECK_GE(support_now(), late + period);
        late += period;
    }
}

START_TEST(missed_burst)
{
    support_everywhere(burst);
}
END_TEST

START_TEST(missed_skip)
{
    support_everywhere(skip);
}
END_TEST

START_TEST(missed_delay)
{
    support_everywhere(delay);
}
END_TEST

static int cancelled_tick(void *arg)
{
    pirn_ticker ticker;
    CHECK_OK(pirn_ticker_init(&ticker, (pirn_span){3600 * 1000 * MS}, PIRN_MISSED_SKIP));
    int64_t next = ticker.next.ns;
    atomic_store((atomic_int *)arg, 1);
    CHECK_EQ(pirn_ticker_wait(&ticker), -ECANCELED);
    CHECK_EQ(ticker.next.ns, next); /* the tick did not happen */
    return 0;
}

static int cancel(void *arg)
{
    (void)arg;
    atomic_int began = 0;
    pirn_task *task = support_spawn(cancelled_tick, &began);
    support_until(&began, 1);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_OK(support_join(task));
    return 0;
}

START_TEST(cancelled)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, cancel, NULL));
}
END_TEST

START_TEST(refused)
{
    pirn_ticker ticker;
    CHECK_EQ(pirn_ticker_init(&ticker, (pirn_span){0}, PIRN_MISSED_SKIP), -EINVAL);
    CHECK_EQ(pirn_ticker_init(&ticker, (pirn_span){-5}, PIRN_MISSED_SKIP), -EINVAL);
    CHECK_EQ(pirn_ticker_init(&ticker, (pirn_span){period}, (pirn_missed)9), -EINVAL);
    /* A period beyond the end of time is not an overflow. */
    CHECK_OK(pirn_ticker_init(&ticker, PIRN_FOREVER, PIRN_MISSED_BURST));
    CHECK_EQ(ticker.next.ns, PIRN_NEVER.ns);
}
END_TEST

SUPPORT_MAIN("ticker", steady_grid, missed_burst, missed_skip, missed_delay, cancelled, refused)
