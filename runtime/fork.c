/*
 * fork(); see fork.h. The rings' mappings are not inherited (MADV_DONTFORK, in io/ring.c), stacks
 * are: the child may be running on one.
 */
#include "runtime/fork.h"

#include <pthread.h>
#include <string.h>

#include "runtime/crew.h"
#include "runtime/fd_wait.h"
#include "runtime/locks.h"
#include "runtime/registry.h"
#include "runtime/self.h"
#include "runtime/signals.h"

static void in_child(void)
{
    struct self *self = pirn_self();
    self->worker = NULL;
    self->pinned = NULL;
    pirn_signals_forget();
    pirn_crews_forget();
    pirn_registry_forget();
    pirn_locks_forget();
    pirn_fd_wait_forget();
}

static void install(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

void pirn_fork_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
}
