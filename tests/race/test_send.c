/* serial */
/*
 * send stopped at about the moment the full socket is drained: the bytes it reports are the bytes
 * that arrive, in their order, and it reads nothing from its buffer once it has returned.
 */
#include "tests/race/race.h"

/* The stream is the numbers 0, 1, 2, ... modulo 251; r->sent and r->got count them. */
enum {
    MODULUS = 251,
    PIECE = 3000
};

struct stream {
    unsigned char buf[PIECE];
    _Atomic uint64_t got;
};

static void begin(struct race *r)
{
    int size = 1; /* as small as it gets */
    support_pair(r->fds);
    CHECK_OK(setsockopt(r->fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
    r->more = calloc(1, sizeof(struct stream));
    CHECK(r->more);
}

static void end(struct race *r)
{
    CHECK_OK(pirn_close(r->fds[0]));
    CHECK_OK(pirn_close(r->fds[1]));
    free(r->more);
}

static void fill_piece(struct race *r, unsigned char *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf[i] = (unsigned char)((r->sent + i) % MODULUS);
}

/* Fills the socket up with the next of the stream, then lays out the piece after that. */
static void prepare(struct race *r)
{
    struct stream *s = r->more;
    for (;;) {
        fill_piece(r, s->buf, PIECE);
        ssize_t n = send(r->fds[0], s->buf, 512, MSG_DONTWAIT);
        if (n < 0)
            break;
        r->sent += (uint64_t)n;
    }
}

static void receive(struct race *r)
{
    struct stream *s = r->more;
    unsigned char buf[4096];
    ssize_t n;
    while ((n = recv(r->fds[1], buf, sizeof(buf), MSG_DONTWAIT)) > 0)
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(buf[i], atomic_fetch_add(&s->got, 1) % MODULUS);
}

static long call(struct race *r)
{
    struct stream *s = r->more;
    long rc = pirn_send(r->fds[0], s->buf, PIECE, 0, r->deadline);
    memset(s->buf, 0xff, PIECE); /* not a number of the stream */
    return rc;
}

static void check(struct race *r, long rc, bool happened)
{
    struct stream *s = r->more;
    if (happened) {
        CHECK(rc > 0 && rc <= PIECE);
        r->sent += (uint64_t)rc;
    }
    receive(r);
    CHECK_EQ(atomic_load(&s->got), r->sent);
}

static const struct race_kind kind = {"send",  begin, end,   prepare, call, check,
                                      receive, 10000, false, false,   true};

START_TEST(send_race)
{
    race_run(&kind);
}
END_TEST

SUPPORT_MAIN("race/send", send_race)
