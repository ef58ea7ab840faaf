/* A stream whose allocations fail, each in turn: what came is there for the next call. */
#include "tests/support.h"
#include "tests/support/memory.h"

enum {
    LINE = 3000,
    BLOCK = 50000, /* of which a part comes first */
    PART = 20000
};

static char data[LINE + BLOCK];

static long read_a_line(pirn_stream *s, char *buf)
{
    const char *view;
    long n = pirn_stream_read_line(s, &view, PIRN_NEVER);
    if (n > 0)
        memcpy(buf, view, (size_t)n);
    return n;
}

static int read_all(void *arg)
{
    static char got[LINE + BLOCK];
    int pair[2], failures = 0, failed = 1;
    (void)arg;
    memset(data, 'l', sizeof(data));
    data[LINE - 1] = '\n';
    for (size_t i = LINE; i < sizeof(data); i++)
        data[i] = (char)('a' + i % 23);
    for (int nth = 1; failed > 0; nth++) {
        pirn_stream *s = NULL;
        CHECK_LE(nth, 100);
        support_pair(pair);
        support_send_all(pair[1], data, LINE + PART);
        memset(got, 0, sizeof(got));
        support_memory_fail(nth, 0);
        failed = 0;
        int rc = pirn_stream_new(&s, pair[0], NULL);
        if (rc == -ENOMEM) {
            failed += support_memory_works();
            CHECK_OK(pirn_stream_new(&s, pair[0], NULL));
        }
        long n;
        while ((n = read_a_line(s, got)) == -ENOMEM)
            failed += support_memory_works();
        CHECK_EQ(n, LINE);
        /* A part is there, and taken into the caller's memory; then it is stopped, and puts it
         * back. */
        while ((n = pirn_stream_read_exactly(s, got + LINE, BLOCK, NULL, pirn_after_ms(1))) ==
               -ENOMEM)
            failed += support_memory_works();
        CHECK_EQ(n, -ETIMEDOUT);
        memset(got + LINE, 0, BLOCK);
        support_send_all(pair[1], data + LINE + PART, BLOCK - PART);
        while ((n = pirn_stream_read_exactly(s, got + LINE, BLOCK, NULL, PIRN_NEVER)) == -ENOMEM)
            failed += support_memory_works();
        failed += support_memory_works();
        CHECK_EQ(n, BLOCK);
        CHECK(memcmp(got, data, sizeof(data)) == 0);
        failures += failed;
        CHECK_OK(pirn_stream_close(s, PIRN_NEVER));
        pirn_stream_release(s);
        CHECK_OK(pirn_close(pair[1]));
    }
    CHECK_GE(failures, 3);
    return 0;
}

START_TEST(a160_reads_without_memory_lose_nothing)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, read_all, NULL));
}
END_TEST

SUPPORT_MAIN("net/stream_memory", a160_reads_without_memory_lose_nothing)
