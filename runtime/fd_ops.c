/*
 * The table of counters; see fd_ops.h.
 */
#include "runtime/fd_ops.h"

#include <sys/mman.h>

#include "io/sys.h"

#define BYTES (FD_OPS * sizeof(struct fd_use))

_Atomic uint32_t pirn_fd_closes[FD_OPS];

int pirn_fd_ops_init(struct fd_ops *ops)
{
    void *at;
    int rc = sys_mmap(&at, NULL, BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (rc != 0)
        return rc;
    sys_madvise(at, BYTES, MADV_NOHUGEPAGE); /* a kernel without huge pages refuses: as good */
    ops->uses = at;
    return 0;
}

void pirn_fd_ops_destroy(struct fd_ops *ops)
{
    sys_munmap(ops->uses, BYTES);
}
