/*
 * Memcheck takes memory for written that a system call is known to write. What comes through the
 * ring is written by nobody that it knows, so it is told; by the request, as ring.c gives it to the
 * kernel.
 */
#include "io/valgrind.h"

#include <linux/stat.h>

#include "io/op.h"
#include "io/sys.h"

static void *at(uint64_t addr)
{
    return (void *)(uintptr_t)addr;
}

static void wrote(const void *where, size_t n)
{
    VALGRIND_MAKE_MEM_DEFINED_IF_ADDRESSABLE(where, n);
}

static void wrote_vector(const struct iovec *iov, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count && bytes != 0; i++) {
        size_t n = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;
        wrote(iov[i].iov_base, n);
        bytes -= n;
    }
}

static void wrote_message(struct msghdr *msg, size_t bytes)
{
    wrote(&msg->msg_namelen, sizeof(msg->msg_namelen));
    wrote(&msg->msg_controllen, sizeof(msg->msg_controllen));
    wrote(&msg->msg_flags, sizeof(msg->msg_flags));
    if (msg->msg_name != NULL)
        wrote(msg->msg_name, msg->msg_namelen);
    if (msg->msg_control != NULL)
        wrote(msg->msg_control, msg->msg_controllen);
    wrote_vector(msg->msg_iov, msg->msg_iovlen, bytes);
}

static void wrote_address(void *addr, socklen_t *len)
{
    if (addr == NULL)
        return;
    wrote(len, sizeof(*len));
    wrote(addr, *len);
}

void pirn_valgrind_op_done(const struct op *op)
{
    if (op->res < 0)
        return;
    size_t bytes = (size_t)op->res;
    switch ((enum op_kind)op->kind) {
    case OP_ACCEPT:
        wrote_address(at(op->addr), at(op->off));
        break;
    case OP_RECV:
    case OP_READ:
        wrote(at(op->addr), bytes < op->len ? bytes : op->len); /* MSG_TRUNC */
        break;
    case OP_READV:
        wrote_vector(at(op->addr), op->len, bytes);
        break;
    case OP_RECVMSG:
        wrote_message(at(op->addr), bytes);
        break;
    case OP_STATX:
        wrote(at(op->off), sizeof(struct statx));
        break;
    default:
        break;
    }
}
