/*
 * How many tasks of a runtime are on each descriptor, and who: whether a close has any calls to end
 * first, and whether a receiver may have company. A task is on it for the length of an operation,
 * or from its call's first wait to the call's end, if that has to do with it in between.
 *
 * Of the tasks the last to read is noted, and the last to write: mostly that is all there are, and
 * a close finds them without going through all tasks. With 9,000 connections on each of which
 * somebody waits a close took 184 us when it went through all of them, and 125 without that; with
 * 900 connections 107 either way, most of it the wait for who was ended.
 *
 * A counter by descriptor, modulo FD_OPS. Where two descriptors share one, a close goes through all
 * tasks for nothing: with 4,096 counters, and a server's 9,800 connections and their clients in one
 * process, to end one took 31 to 55 us, with these 10 to 14 (three in turns of each: by the server,
 * by the client, by a half-close). So there are as many as a process may have descriptors by the
 * usual limits; of the table only the pages that are used are ever there.
 */
#ifndef PIRN_RUNTIME_FD_OPS_H
#define PIRN_RUNTIME_FD_OPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    FD_OPS = 1 << 20
};

struct pirn_task;

/* Written by who enters or leaves the descriptor (enter_fd in wait.c); read by any thread that
 * closes it (stop_last in cancel.c, pirn_registry_stop_fd), or wonders if it has company. */
struct fd_use {
    _Atomic uint32_t count; /* on it; added to seq_cst, which pairs with the closers' loads */
    /* Who entered it last: 0 to read or the like, 1 to write. NULL: nobody yet. It
     * may be over, and the task, whose descriptor stays, with another or with none. release: pairs
     * with stop_last's acquire. */
    struct pirn_task *_Atomic last[2];
};

struct fd_ops {
    struct fd_use *uses;
};

/*
 * How often each descriptor below FD_OPS has been closed, or was about to be. A call that begins on
 * one notes the number before its first attempt there; when it has come to stay (wait.h), and the
 * number has changed, it may be another's by now. Who closes changes it, seq_cst, and then looks
 * who is there; who comes is counted, seq_cst, and then looks here: one of them sees the other.
 */
extern __attribute__((visibility("hidden"))) _Atomic uint32_t pirn_fd_closes[FD_OPS];

static inline uint32_t fd_closes(int fd)
{
    return atomic_load_explicit(&pirn_fd_closes[(uint32_t)fd % FD_OPS], memory_order_seq_cst);
}

/* Has it been closed since it had been so many times? (Of one beyond the table nobody knows.) */
static inline bool fd_is_another(int fd, uint32_t closes)
{
    return (uint32_t)fd < FD_OPS && fd_closes(fd) != closes;
}

static inline void fd_note_close(int fd)
{
    atomic_fetch_add_explicit(&pirn_fd_closes[(uint32_t)fd % FD_OPS], 1, memory_order_seq_cst);
}

int pirn_fd_ops_init(struct fd_ops *ops); /* 0 or -ENOMEM */
void pirn_fd_ops_destroy(struct fd_ops *ops);

static inline struct fd_use *pirn_fd_use_of(const struct fd_ops *ops, int fd)
{
    return &ops->uses[(uint32_t)fd % FD_OPS];
}

#endif
