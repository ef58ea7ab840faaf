/*
 * A case of select, and what is different about those that wait for an awaitable.
 */
#ifndef PIRN_API_CHANNEL_SELECT_H
#define PIRN_API_CHANNEL_SELECT_H

#include <pirn.h>

#include "api/channel/channel.h"

enum case_kind {
    CASE_SEND,
    CASE_RECV,
    CASE_AWAIT,
    CASE_KINDS
};

/* A pirn_case's opaque words. */
struct chance {
    struct party party;
    pirn_case *next; /* in the order of locks; the caller of select */
};

_Static_assert(sizeof(struct chance) <= sizeof(((pirn_case *)0)->opaque), "it fits");

static inline struct chance *chance_of(pirn_case *c)
{
    return (struct chance *)(void *)c->opaque;
}

/* select_await.c, of a case whose object is an awaitable. None of them is called with a lock held,
 * except pirn_case_has_come, which takes none. */

/* A mistake, which has been told: its handle was given up. */
bool pirn_case_is_dead(const pirn_case *c);
/* True once it has ended, with what it said in the case. */
bool pirn_case_has_come(pirn_case *c);
/* Links the case's party, for the wait that has been entered; false: it has ended. */
bool pirn_case_link(pirn_case *c, const struct wait *w);
void pirn_case_unlink(pirn_case *c);

#endif
