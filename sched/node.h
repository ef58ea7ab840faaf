/*
 * What the scheduler queues. A runtime embeds one in whatever it wants to run; sched/ knows no
 * more.
 */
#ifndef PIRN_SCHED_NODE_H
#define PIRN_SCHED_NODE_H

struct node {
    struct node *next; /* belongs to the list the node is on; unused while in a ring */
};

#endif
