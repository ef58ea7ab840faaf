/*
 * What the checks of other libraries share: peers that do not answer, runs with room on the stacks,
 * several at a time, those that are cancelled while a server is at work for them, and the crowd:
 * many that wait for a peer that does not answer are cancelled.
 */
#ifndef PIRN_TESTS_FOREIGN_PEER_H
#define PIRN_TESTS_FOREIGN_PEER_H

#include "tests/support.h"

enum {
    PEER_STACK = 256 * 1024,
    SEVERAL = 6,
    CROWD = 24,
    SHORT_MS = 100 /* a deadline that is meant to come */
};

/* What the script has to say: a place, a folder. */
static inline const char *peer_setting(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL)
        support_fail(__FILE__, __LINE__, __func__, "%s is not set: run test_*.sh", name);
    return value;
}

/* A port at which somebody listens who never says a word; its socket goes to *ret_fd. */
static inline int peer_silent(int *ret_fd)
{
    struct sockaddr_in addr;
    *ret_fd = support_listen(&addr, 4 * CROWD);
    return ntohs(addr.sin_port);
}

/* A port at which nobody listens: it is bound, as *ret_fd. */
static inline int peer_closed(int *ret_fd)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *ret_fd = support_socket();
    CHECK_OK(bind(*ret_fd, (struct sockaddr *)&addr, sizeof(addr)));
    CHECK_OK(getsockname(*ret_fd, (struct sockaddr *)&addr, &len));
    return ntohs(addr.sin_port);
}

/* Few spares: whoever blocks a thread instead of waiting is soon missed. */
static inline int peer_run(int workers, pirn_fn fn, void *arg)
{
    pirn_config config = PIRN_CONFIG_INIT;
    config.workers = workers;
    config.stack_size = PEER_STACK;
    config.max_spares = 1;
    return support_run_with(&config, fn, arg);
}

static inline void peer_everywhere(pirn_fn fn)
{
    FOR_WORKERS(w)
    CHECK_OK(peer_run(w, fn, NULL));
}

/* SEVERAL call fn side by side, each with its number, from 1. In a coroutine, as the next two. */
static inline void peer_begin_several(pirn_task **tasks, pirn_fn fn)
{
    for (int i = 0; i < SEVERAL; i++)
        tasks[i] = support_spawn(fn, (void *)(intptr_t)(i + 1));
}

static inline void peer_several(pirn_fn fn)
{
    pirn_task *tasks[SEVERAL];
    peer_begin_several(tasks, fn);
    for (int i = 0; i < SEVERAL; i++)
        CHECK_OK(support_join(tasks[i]));
}

/* They are cancelled once the server is at work for all of them (busy(conn) is for how many), and
 * return -ECANCELED. */
static inline void peer_cancel_several(pirn_fn fn, long (*busy)(void *conn), void *conn)
{
    pirn_task *tasks[SEVERAL];
    peer_begin_several(tasks, fn);
    while (busy(conn) < SEVERAL)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    for (int i = 0; i < SEVERAL; i++)
        CHECK_OK(pirn_cancel(tasks[i], NULL));
    for (int i = 0; i < SEVERAL; i++)
        CHECK_EQ(support_join(tasks[i]), -ECANCELED);
}

/* Many call fn(arg), which waits for ever; when all do so, a ticker beside them ticks in its order;
 * then they are cancelled, and each of them returns -ECANCELED. In a coroutine. */
static inline void peer_crowd(pirn_fn fn, void *arg)
{
    pirn_task *tasks[CROWD];
    pirn_ticker ticker;
    pirn_time begun = pirn_now();
    pirn_span period = {5 * MS};
    for (int i = 0; i < CROWD; i++)
        tasks[i] = support_spawn(fn, arg);
    for (int i = 0; i < CROWD; i++)
        support_until_waiting(tasks[i]);
    CHECK_OK(pirn_ticker_init(&ticker, period, PIRN_MISSED_BURST));
    for (int i = 1; i <= 5; i++) {
        CHECK_OK(pirn_ticker_wait(&ticker));
        CHECK_GE(pirn_now().ns - begun.ns, i * period.ns);
    }
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(pirn_status(tasks[i]), -EINPROGRESS);
    for (int i = 0; i < CROWD; i++)
        CHECK_OK(pirn_cancel(tasks[i], "enough"));
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(support_join(tasks[i]), -ECANCELED);
}

#endif
