/*
 * One operation under way: a request to the kernel with its deadline, or a deadline alone. It lives
 * in whatever waits for it; io/ knows no task.
 *
 * Who may touch what: `port`, `gen` and `fd` are read by any thread that wants to stop the
 * operation; everything else belongs to the waiter while the operation is IDLE, and to holders of
 * the port's lock otherwise, but for an OP_CALL's slot and deadline, which who cancels it reads
 * without (pirn_port_call_off), and all of one that he has dropped is his. An operation is done
 * exactly once, by whoever took its last completion, its deadline or its stop under that lock.
 */
#ifndef PIRN_IO_OP_H
#define PIRN_IO_OP_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct port;
struct deadline_node;

enum op_state {
    OP_IDLE,
    OP_QUEUED,   /* in port->queue, not yet given to the kernel */
    OP_INFLIGHT, /* the kernel has it */
    OP_TIMER,    /* a deadline alone: when it comes, the operation is done */
    OP_GUARD,    /* a deadline alone, which may lose: port->expire decides */
};

enum op_kind {
    OP_ACCEPT,
    OP_CONNECT,
    OP_RECV,
    OP_RECVMSG,
    OP_READ,
    OP_WRITE,
    OP_READV,
    OP_WRITEV,
    OP_WAITING = OP_WRITEV, /* so far those that may have to wait for their descriptor */
    OP_OPENAT,
    OP_CLOSE,
    OP_FSYNC,
    OP_POLL,  /* len: 0, or a descriptor to poll in fd's stead, and one more */
    OP_CLOCK, /* a timeout on the wall or boot clock, kept by the kernel because clocks get set */
    OP_NEWER, /* from here on those that an older kernel may lack: -EINVAL */
    OP_STATX = OP_NEWER, /* addr: the path, len: the mask, off: where to */
    OP_FALLOCATE,        /* addr: how many bytes, len: the mode */
    OP_FTRUNCATE,        /* off: the new size; Linux 6.9 */
    OP_RENAMEAT,         /* addr: from, off: to, len: its directory; also OP_LINKAT */
    OP_UNLINKAT,
    OP_MKDIRAT,   /* len: the mode; 5.15, with those that follow */
    OP_SYMLINKAT, /* addr: what it says, off: the path */
    OP_LINKAT,
    OP_KINDS,
    OP_ALARM = OP_KINDS, /* a deadline that is nobody's wait: never given to the kernel */
    OP_CALL,             /* the same: what is to be done then is up to port->call */
    OP_LAUNCH,           /* what that has made: done from the beginning */
    OP_SEND,             /* two names for api/transfer.c: they wait by an OP_POLL */
    OP_SENDMSG
};

enum {
    OP_CLOCK_WALL = 1, /* flags of an OP_CLOCK */
    OP_CLOCK_BOOT = 2
};

enum {
    OP_POLL_FIRST = 1, /* off of a receive, len of an accept: it would block now */
    OP_MORE = 2,       /* off of a receive or an accept that is done: the socket held more */
    OP_BLOCKS = 1,     /* off of an open: it waits, so it takes a kernel helper thread */
    OP_LENGTHY = 1,    /* flags of a read or write: copying, or a wait inline, takes one */
    OP_BUFFERED = 2,   /* no request's flag, a note of api/file/transfer.c */
    OP_DATA = 1        /* flags of a sync: the data, and the size, but not the times */
};

enum {
    OP_POLLING = 1,
    OP_POLLED = 2
};

struct op {
    struct op *next; /* the port's queue, its cancel list, or a list of done ones */
    union {
        struct op *prev;
        _Atomic(struct deadline_node *) slot; /* an OP_CALL's, on no list: its node, last time */
    };
    _Atomic(struct port *) port; /* where it was started last */
    int64_t deadline;            /* INT64_MAX: none */
    uint32_t node;               /* its name among the port's deadlines; 0: not there */
    _Atomic uint32_t gen;        /* names this use of the struct: a stop for another is void */
    int32_t res;                 /* when done: the kernel's result, or the stop's reason */
    _Atomic int32_t fd;          /* written by the waiter; -1 while nothing is under way */
    uint64_t addr;
    uint64_t off; /* offset, or second address */
    uint32_t len;
    uint32_t flags;
    uint8_t kind;    /* enum op_kind */
    uint8_t state;   /* enum op_state */
    uint8_t pending; /* completions still to come: the request's, its cancel's */
    uint8_t polling; /* OP_POLLING: a poll stands in for a request the kernel would not
                                     wait for; OP_POLLED: it has, and the request is tried again */
    int32_t stop;    /* the -errno to report if the stop wins; 0: not stopped */
};

struct op_list {
    struct op *head, *tail;
};

static inline void op_list_append(struct op_list *l, struct op *op)
{
    op->next = NULL;
    op->prev = l->tail;
    if (l->tail != NULL)
        l->tail->next = op;
    else
        l->head = op;
    l->tail = op;
}

static inline void op_list_prepend(struct op_list *l, struct op *op)
{
    op->prev = NULL;
    op->next = l->head;
    if (l->head != NULL)
        l->head->prev = op;
    else
        l->tail = op;
    l->head = op;
}

static inline void op_list_remove(struct op_list *l, struct op *op)
{
    if (op->prev != NULL)
        op->prev->next = op->next;
    else
        l->head = op->next;
    if (op->next != NULL)
        op->next->prev = op->prev;
    else
        l->tail = op->prev;
}

#endif
