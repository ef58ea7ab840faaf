/*
 * Debug mode: what a program gets wrong, one line each, through the runtime's report hook.
 *
 *   slow steps       a coroutine that kept its worker for longer than slow_step
 *   never awaited    a coroutine object that was released before it had begun
 *   left pending     tasks that main, or a close, found
 *   misuse           a call that was refused because it cannot be meant
 *   blocked for ever quiet.h
 *
 * Every line names the task: its name, its number, where it was spawned.
 */
#ifndef PIRN_RUNTIME_DEBUG_H
#define PIRN_RUNTIME_DEBUG_H

#include <pirn.h>
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
/* What it is doing: "future at main+0x1f (for 0.250 s)", "recv fd=5 ...", "runnable". */
enum {
    DOING_TEXT = 384
};
void pirn_debug_doing_text(struct pirn_task *t, int64_t now, char *buf, size_t size);

/* A step of w's has ended, and the next begins: t's, or that of a task that is gone, or of nobody
 * (NULL). */
void pirn_debug_step(struct worker *w, struct pirn_task *t);
/* t's function has returned, on the worker it runs on, if it is on one. */
void pirn_debug_last_step(struct pirn_task *t);

void pirn_debug_never_awaited(struct pirn_task *t);
void pirn_debug_left(struct pirn_task *t, void *rt); /* for pirn_task_each */

/* The public call was refused with rc, for a reason that is a mistake of the caller's: says so, in
 * debug mode. Returns rc. On a plain thread the line goes to stderr: it belongs to no runtime. Not
 * under a lock. */
__attribute__((cold)) void pirn_misuse_tell(const char *call, int rc);

static inline int pirn_misuse(const char *call, int rc)
{
    pirn_misuse_tell(call, rc);
    return rc;
}

#endif
