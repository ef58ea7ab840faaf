/*
 * What select needs to know of a kind of case: its lock, the list to wait in, whether it can go. A
 * kind is a table of these; select.c knows no kind but through them, so another awaitable object
 * needs its own table and a function that makes the case, and nothing else.
 */
#ifndef PIRN_API_CHANNEL_SELECT_H
#define PIRN_API_CHANNEL_SELECT_H

#include <pirn.h>

#include "api/channel/channel.h"

enum case_kind {
    CASE_SEND,
    CASE_RECV,
    CASE_KINDS
};

/* A pirn_case's opaque words. */
struct chance {
    struct party party;
    pirn_case *next; /* in the order of locks; the caller of select */
};

struct case_kind_ops {
    struct lock *(*lock)(const pirn_case *c);
    /* The following under that lock. */
    struct waiter **(*list)(const pirn_case *c);
    /* Lets it go if it can. What is left to do without locks goes to *h. */
    bool (*attempt)(pirn_case *c, struct handover *h, int *ret_result);
    /* For kinds whose setters claim plain waiters and know nothing of parties, or NULL: has the
     * object come? Asked when none of the parties has been claimed. What came must stay. */
    bool (*came)(const pirn_case *c, int *ret_result);
};

_Static_assert(sizeof(struct chance) <= sizeof(((pirn_case *)0)->opaque), "it fits");

#endif
