/*
 * Close.
 */
#include <errno.h>

#include "api/transfer.h"
#include "io/sys.h"
#include "runtime/fd_ops.h"
#include "runtime/fd_wait.h"
#include "runtime/registry.h"

/* Ends what is under way on it, of coroutines and of plain threads; true: there was something, look
 * again. */
static bool stop_all(int fd)
{
    fd_note_close(fd);
    bool operations = pirn_registry_stop_fd(fd, NULL);
    return pirn_fd_wait_stop(fd) || operations;
}

/*
 * The close protocol: operations under way on the descriptor are stopped, and the calls that wait
 * there are waited for, then it is closed. A plain close(2) would leave a dead recv behind that
 * swallows the peer's next byte; and a send whose poll has just said ready would go to whatever has
 * the number by then.
 */
static int close_in_task(struct pirn_task *t, int fd)
{
    struct wait w;
    struct args a = {OP_CLOSE, fd, NULL, 0, 0, 0};
    pirn_task_shield(t);
    while (stop_all(fd)) {
        if (pirn_sleep(pirn_after_us(50)) != 0)
            pirn_wait_give_way(); /* in a shutdown past its grace */
    }
    int rc = pirn_wait_enter(&w);
    if (rc == 0)
        rc = pirn_transfer_submit(&w, "close", &a, PIRN_NEVER);
    pirn_task_unshield(t);
    return rc == -ESHUTDOWN || rc == -ENOMEM ? sys_close(fd) : rc;
}

int pirn_close(int fd)
{
    struct pirn_task *t = pirn_current_task();
    if (fd < 0)
        return -EBADF;
    if (t != NULL)
        return close_in_task(t, fd);
    while (stop_all(fd))
        pirn_sleep(pirn_after_us(50));
    return sys_close(fd);
}
