/*
 * A task that is no child of a scope waits for a place in it: the opener, who closes the scope,
 * does not free it before that task has looked at it for the last time.
 */
#include <errno.h>
#include <pirn.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

enum {
    VISITORS = 4,
    ROUNDS = 200,
    AHEAD = 16 /* bytes before a block: how long it is */
};

static void *take(void *user, size_t bytes)
{
    (void)user;
    size_t *block = malloc(AHEAD + bytes);
    if (!block)
        return NULL;
    *block = bytes;
    return (char *)block + AHEAD;
}

/* Whoever uses it now does not get far: its lock, say, is taken for ever. */
static void spoil(void *user, void *ptr)
{
    (void)user;
    if (!ptr)
        return;
    size_t *block = (size_t *)(void *)((char *)ptr - AHEAD);
    memset(ptr, 0xa5, *block);
    free(block);
}

static int waits(void *arg)
{
    (void)arg;
    return pirn_sleep(PIRN_NEVER);
}

static int visits(void *arg)
{
    return pirn_scope_spawn(arg, waits, NULL, PIRN_NEVER);
}

/* leave: they are cancelled themselves, too, right before. */
static void round_of(bool leave)
{
    pirn_scope *scope;
    pirn_task *visitors[VISITORS];
    CHECK_OK(pirn_scope_open(&scope, 1));
    CHECK_OK(pirn_scope_spawn(scope, waits, NULL, PIRN_NEVER));
    for (int i = 0; i < VISITORS; i++) {
        visitors[i] = support_spawn(visits, scope);
        support_until_waiting(visitors[i]);
    }
    for (int i = 0; leave && i < VISITORS; i++)
        CHECK_GE(pirn_cancel(visitors[i], NULL), 0);
    CHECK_OK(pirn_scope_cancel(scope, NULL));
    CHECK_OK(pirn_scope_close(scope, PIRN_NEVER));
    for (int i = 0; i < VISITORS; i++)
        CHECK_EQ(support_join(visitors[i]), -ECANCELED);
}

static int many(void *arg)
{
    for (int i = 0; i < support_rounds(ROUNDS); i++)
        round_of(*(bool *)arg);
    return 0;
}

static void everywhere(bool leave)
{
    FOR_WORKERS(w)
    {
        pirn_config config = PIRN_CONFIG_INIT;
        config.workers = w;
        config.alloc = take;
        config.free = spoil;
        CHECK_OK(support_run_with(&config, many, &leave));
    }
}

START_TEST(cancelled_while_others_wait_in_line)
{
    everywhere(false);
}
END_TEST

START_TEST(cancelled_while_others_leave_the_line)
{
    everywhere(true);
}
END_TEST

SUPPORT_MAIN("scope_visitor", cancelled_while_others_wait_in_line,
             cancelled_while_others_leave_the_line)
