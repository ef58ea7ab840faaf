/*
 * What the stream tests share: a stream over each kind of descriptor with its peer's end, a
 * transport that reads from a script, bytes that can be told apart.
 */
#ifndef PIRN_TESTS_NET_STREAM_H
#define PIRN_TESTS_NET_STREAM_H

#include <fcntl.h>
#include <termios.h>

#include "tests/support.h"

enum kind {
    UNIX_SOCKET,
    TCP_SOCKET,
    PIPE, /* left in blocking mode; the stream reads from it */
    PTY,  /* the stream has the terminal, the peer is who types */
    KINDS
};

struct ends {
    pirn_stream *stream;
    int peer;
    enum kind kind;
    bool writes; /* the stream can be written too */
};

static inline void open_pty(int ret_pair[2])
{
    struct termios mode;
    char name[64];
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK_GE(master, 0);
    CHECK_OK(grantpt(master));
    CHECK_OK(unlockpt(master));
    CHECK_OK(ptsname_r(master, name, sizeof(name)));
    ret_pair[0] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK_GE(ret_pair[0], 0);
    CHECK_OK(tcgetattr(ret_pair[0], &mode));
    mode.c_lflag &= ~(tcflag_t)ECHO;
    mode.c_oflag &= ~(tcflag_t)OPOST;
    CHECK_OK(tcsetattr(ret_pair[0], TCSANOW, &mode));
    ret_pair[1] = master;
}

/* KINDS; without /dev/pts, as in a bare chroot: those before PTY. */
static inline enum kind kinds(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0) {
        puts("no /dev/pts: terminals left out");
        return PTY;
    }
    close(master);
    return KINDS;
}

static inline struct ends ends_open(enum kind kind, const pirn_stream_config *config)
{
    struct ends e = {.kind = kind, .writes = kind != PIPE};
    int pair[2];
    if (kind == UNIX_SOCKET)
        support_pair(pair);
    else if (kind == TCP_SOCKET)
        support_tcp_pair(pair);
    else if (kind == PIPE)
        support_pipe(pair);
    else
        open_pty(pair);
    CHECK_OK(pirn_stream_new(&e.stream, pair[0], config));
    CHECK_EQ(pirn_stream_fd(e.stream), pair[0]);
    e.peer = pair[1];
    return e;
}

/* Typed at a terminal, it comes with the newline. */
static inline void ends_send(struct ends *e, const void *data, size_t n)
{
    CHECK_EQ(pirn_write(e->peer, data, n, PIRN_NEVER), n);
}

/* Nothing more comes. */
static inline void ends_shut(struct ends *e)
{
    if (e->kind ==
        PTY) { /* what is typed so far is handed over, and then nothing, which is the end */
        CHECK_EQ(pirn_write(e->peer, "\4", 1, PIRN_NEVER), 1);
        CHECK_EQ(pirn_write(e->peer, "\4", 1, PIRN_NEVER), 1);
    } else if (e->kind == PIPE) {
        CHECK_OK(close(e->peer));
        e->peer = -1;
    } else {
        CHECK_OK(shutdown(e->peer, SHUT_WR));
    }
}

static inline void ends_close(struct ends *e)
{
    CHECK_OK(pirn_stream_close(e->stream, PIRN_NEVER));
    pirn_stream_release(e->stream);
    if (e->peer >= 0)
        CHECK_OK(close(e->peer));
}

static inline char *pattern(size_t n)
{
    char *data = malloc(n);
    CHECK(data);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)((i * 2654435761u) >> 13);
    return data;
}

/* ---- A transport whose reads are written down ------------------------------------------------ */

struct step {
    const char *data;
    size_t n;
    int error;
};

struct script {
    struct step read[16];
    int reads, closed, freed;
};

static ssize_t script_read(void *self, void *buf, size_t n, pirn_time deadline)
{
    struct script *script = self;
    const struct step *step = &script->read[script->reads++];
    (void)deadline;
    CHECK_LE(step->n, n);
    if (step->n != 0)
        memcpy(buf, step->data, step->n);
    return step->error != 0 ? step->error : (ssize_t)step->n;
}

static ssize_t script_write(void *self, const void *buf, size_t n, pirn_time deadline)
{
    (void)self, (void)buf, (void)n, (void)deadline;
    return -EIO;
}

static int script_close(void *self)
{
    ((struct script *)self)->closed++;
    return 0;
}

static void script_free(void *self)
{
    ((struct script *)self)->freed++;
}

static inline pirn_stream *script_open(struct script *script, const pirn_stream_config *config)
{
    static const pirn_transport ops = {
        .size = sizeof(ops),
        .read = script_read,
        .write = script_write,
        .close = script_close,
        .free = script_free,
    };
    pirn_stream *s;
    CHECK_OK(pirn_stream_over(&s, &ops, script, config));
    CHECK_EQ(pirn_stream_fd(s), -EBADF);
    return s;
}

#endif
