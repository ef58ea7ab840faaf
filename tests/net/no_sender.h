/*
 * Where no task can be made for what is left of a write. A test that includes this says
 * "wraps pirn_task_spawn" (tests/CMakeLists.txt).
 */
#ifndef PIRN_TESTS_NET_NO_SENDER_H
#define PIRN_TESTS_NET_NO_SENDER_H

#include "tests/support.h"

#include "runtime/task.h"

static atomic_bool no_sender;
static atomic_int refused_senders;

int __real_pirn_task_spawn(pirn_task **ret_task, const pirn_spawn_config *config, pirn_fn fn,
                           void *arg, const struct spawn_how *how, void *site);
int __wrap_pirn_task_spawn(pirn_task **ret_task, const pirn_spawn_config *config, pirn_fn fn,
                           void *arg, const struct spawn_how *how, void *site);

int __wrap_pirn_task_spawn(pirn_task **ret_task, const pirn_spawn_config *config, pirn_fn fn,
                           void *arg, const struct spawn_how *how, void *site)
{
    if (atomic_load(&no_sender) && config != NULL && config->name != NULL &&
        strcmp(config->name, "stream") == 0) {
        atomic_fetch_add(&refused_senders, 1);
        return -ENOMEM;
    }
    return __real_pirn_task_spawn(ret_task, config, fn, arg, how, site);
}

#endif
