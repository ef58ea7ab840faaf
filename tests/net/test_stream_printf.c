/* Texts after a pattern, on a stream: as a whole, of any length; and what can go wrong. */
#include "tests/net/stream.h"
#include "tests/support/memory.h"

#include <wchar.h>

enum {
    LONGEST = 70000
};

static char want[LONGEST * 2];

/* All that comes is want. */
static void expect(struct ends *e, size_t n)
{
    static char got[sizeof(want)];
    for (size_t at = 0; at < n;) {
        ssize_t more = pirn_recv(e->peer, got + at, n - at, 0, PIRN_NEVER);
        CHECK_GE(more, 1);
        at += (size_t)more;
    }
    CHECK(memcmp(got, want, n) == 0);
}

static int print(void *arg)
{
    static const int lengths[] = {0, 1, 254, 255, 256, 257, 4096, LONGEST};
    struct ends e = ends_open(UNIX_SOCKET, NULL);
    char *fill = malloc(LONGEST + 1);
    CHECK(fill != NULL);
    (void)arg;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        memset(fill, 'a' + (int)i, LONGEST);
        fill[lengths[i]] = '\0';
        /* with what is before and behind: one length of these goes over the small buffer's end */
        int n = snprintf(want, sizeof(want), "%d %s %.2f\n", (int)i, fill, 0.5);
        CHECK_EQ(pirn_stream_printf(e.stream, "%d %s %.2f\n", (int)i, fill, 0.5), n);
        expect(&e, (size_t)n);
        n = snprintf(want, sizeof(want), "%s", fill);
        CHECK_EQ(pirn_stream_printf(e.stream, "%s", fill), n);
        expect(&e, (size_t)n);
    }
    free(fill);
    ends_close(&e);
    return 0;
}

START_TEST(a_text_is_written_as_a_whole)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, print, NULL));
}
END_TEST

static int refuse(void *arg)
{
    struct ends e = ends_open(UNIX_SOCKET, NULL);
    const char *volatile none = NULL;
    char *fill = malloc(LONGEST);
    CHECK(fill != NULL);
    memset(fill, 'x', LONGEST);
    fill[LONGEST - 1] = '\0';
    (void)arg;
    CHECK_EQ(pirn_stream_printf(NULL, "%d", 1), -EINVAL);
    CHECK_EQ(pirn_stream_printf(e.stream, none, 1), -EINVAL);
    CHECK_EQ(pirn_stream_printf(e.stream, "%lc", (wint_t)0x7fffffff), -EILSEQ);
    support_memory_fail_here();
    ssize_t rc = pirn_stream_printf(e.stream, "%s", fill);
    CHECK_EQ(support_memory_works(), 1);
    CHECK_EQ(rc, -ENOMEM);
    CHECK_OK(pirn_stream_pending(e.stream));
    memcpy(want, "still there", 11);
    CHECK_EQ(pirn_stream_printf(e.stream, "still %s", "there"), 11);
    expect(&e, 11); /* and nothing else */
    CHECK_OK(pirn_stream_end(e.stream, PIRN_NEVER));
    CHECK_EQ(pirn_stream_printf(e.stream, "%s", "late"), -EPIPE);
    free(fill);
    ends_close(&e);
    return 0;
}

START_TEST(what_cannot_be_written_is_refused)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, refuse, NULL));
}
END_TEST

SUPPORT_MAIN("net/stream_printf", a_text_is_written_as_a_whole, what_cannot_be_written_is_refused)
