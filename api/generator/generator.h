/*
 * What the two sides of a generator share; the protocol stands in generator.c.
 */
#ifndef PIRN_API_GENERATOR_GENERATOR_H
#define PIRN_API_GENERATOR_GENERATOR_H

#include <pirn.h>

#include "runtime/runtime.h"
#include "runtime/wait.h"

struct pirn_generator {
    struct task_owner owner; /* first: the body's owner is a generator. Constant, as are: */
    struct pirn_runtime *rt;
    pirn_generator_fn fn;
    void *arg;
    void (*arg_drop)(void *arg);
    void *site;
    pirn_strand *strand; /* with a reference; NULL: that of the first pull */
    unsigned flags;
    size_t stack_size, value_size;
    char name[NAME_MAX_BYTES];

    _Atomic uint32_t refs; /* the handle's, and the body's from its spawn to its end */
    struct lock lock;
    struct pirn_task *task;        /* the body, with a reference, until its end */
    struct pirn_task *last_puller; /* the same; NULL: a plain thread, or nobody */
    struct waiter *consumer;       /* a pull, or the close */
    struct waiter *body;           /* at its yield */
    void *ret_value;               /* where the pull wants the value, or NULL */
    bool started;
    bool pulling; /* a pull or the close is under way: keeps others out */
    bool given;   /* to that pull */
    bool full;    /* `value` has been yielded and not taken */
    bool closing, ended;
    bool told; /* the body's error, to somebody */
    int status;
    unsigned char value[];
};

/* The caller is the generator's own body. */
bool pirn_generator_is_body(const pirn_generator *g);

/* Starts the body, on behalf of the first pull. */
int pirn_generator_start(pirn_generator *g);

/* Calls what the program wants called when its argument is done with. */
void pirn_generator_drop_arg(void *generator);

/* Gives up a reference. */
void pirn_generator_unref(pirn_generator *g);

#endif
