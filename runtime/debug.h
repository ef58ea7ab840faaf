/*
 * Debug mode: what a program gets wrong, one line each, through the runtime's report hook.
 *
 *   slow steps       a coroutine that kept its worker for longer than slow_step; one that has kept
 *                    it for a second, and goes on
 *   never awaited    a coroutine object that was released before it had begun
 *   left pending     tasks that main, or a close, found
 *   never released   handles of tasks at the runtime's end
 *   never left       shields, and locks (locks.h), at a task's end
 *   misuse           a call that was refused because it cannot be meant; one with the handle of a
 *                    task or future whose last reference is gone
 *   blocked for ever quiet.h
 *
 * Every line names the task: its name, its number, where it was spawned.
 */
#ifndef PIRN_RUNTIME_DEBUG_H
#define PIRN_RUNTIME_DEBUG_H

#include <pirn.h>
#include <stdatomic.h>
#include <stdbool.h>

struct pirn_task;
struct worker;

/* Has the environment asked for it (PIRN_DEBUG=1)? Never in a program that runs with its file's
 * owner's rights. */
bool pirn_debug_in_environment(void);

/* A runtime in debug mode begins, ends: plain threads are told of misuse while there is one. */
void pirn_debug_count(int by);

/* "NAME (task 7, spawned at main+0x1f)" */
enum {
    TASK_TEXT = 192
};
void pirn_debug_task_text(struct pirn_task *t, char *buf, size_t size);
/* What it is doing: "future at main+0x1f (for 0.250 s)", "recv fd=5 ...", "running on worker 1 (for
 * 2.100 s)"; and of a lock that its owner has ended. */
enum {
    DOING_TEXT = 448
};
void pirn_debug_doing_text(struct pirn_task *t, int64_t now, char *buf, size_t size);

/* A step of w's has ended, and the next begins: t's, or that of a task that is gone, or of nobody
 * (NULL). */
void pirn_debug_step(struct worker *w, struct pirn_task *t);
/* The monitor: whose step has been going on for long. Once a step. */
void pirn_debug_long_steps(struct pirn_runtime *rt, int64_t now);
/* t's function has returned, and it still runs: its last step; what it has not left or given back.
 */
void pirn_debug_end(struct pirn_task *t);

void pirn_debug_never_awaited(struct pirn_task *t);
void pirn_debug_left(struct pirn_task *t, void *rt); /* for pirn_task_each */
/* All tasks have ended, and no thread of the runtime is left: names those that somebody still
 * refers to. */
void pirn_debug_held(struct pirn_runtime *rt);

/* The public call was refused with rc, for a reason that is a mistake of the caller's: says so, in
 * debug mode. why: what was wrong, and what would be right if that is not plain. Returns rc. On a
 * plain thread the line goes to stderr: it belongs to no runtime. Not under a lock. */
__attribute__((cold)) void pirn_misuse_tell(const char *call, int rc, const char *why);

/* The call was given a handle that is dead (awaitable_is_dead): says so. -EINVAL. */
__attribute__((cold)) int pirn_misuse_dead(const char *call, const struct pirn_awaitable *a);

/* Is some runtime in debug mode? */
extern __attribute__((visibility("hidden"))) _Atomic int pirn_debug_runtimes;
static inline bool pirn_debug_is_on(void)
{
    return __builtin_expect(atomic_load_explicit(&pirn_debug_runtimes, memory_order_relaxed) != 0,
                            0);
}
/* In debug mode, instead of free: the memory of a future whose last reference is gone, which is
 * freed when a thousand others have come after it. */
struct object;
void pirn_debug_bury(struct object *o);

static inline int pirn_misuse(const char *call, int rc, const char *why)
{
    pirn_misuse_tell(call, rc, why);
    return rc;
}

#define MISUSE_NULL "an argument is NULL that has to be given"
#define MISUSE_NO_COROUTINE "there is no coroutine here, but a plain thread"
#define MISUSE_NO_RUNTIME "a plain thread is in no runtime, and none is given"
#define MISUSE_SPAWN_CONFIG "the config has a flag that does not fit, or a stack of more than 1 GiB"

/* What is wrong with an item that is given to be copied, or its place; NULL: nothing. */
static inline const char *misuse_of_item(const void *item, size_t elem_size)
{
    if (__builtin_expect((item == NULL) == (elem_size == 0), 1))
        return NULL;
    return item == NULL ? "the item is NULL"
                        : "the item is not NULL, but elem_size is 0: none is copied";
}

/* What is wrong with a config, most often: nobody gave it its first state. otherwise: it was not
 * that. */
static inline const char *misuse_of_config(size_t size, size_t right, const char *otherwise)
{
    return size == 0       ? "the config's size is 0: it begins with its _INIT"
           : size != right ? "the config's size is not that of its type: it begins with its _INIT"
                           : otherwise;
}

/* Of a spawn: no function, or an unsound config. */
static inline const char *misuse_of_spawn(const pirn_spawn_config *config, pirn_fn fn)
{
    return fn == NULL ? "fn is NULL"
                      : misuse_of_config(config->size, sizeof(*config), MISUSE_SPAWN_CONFIG);
}

#endif
