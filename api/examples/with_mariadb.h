/*
 * libmariadb in coroutines: copy this file. Its non-blocking calls, with pirn_poll where they would
 * wait.
 *
 *     MYSQL *mysql = mysql_init(NULL);
 *     MYSQL_RES *result;
 *     int rc = with_mariadb_connect(mysql, "db.example", 3306, "me", "secret", "test",
 *                                   pirn_after_s(5));
 *     if (rc == 0)
 *         rc = with_mariadb_query(mysql, "SELECT 1", pirn_after_s(5));
 *     if (rc == 0)
 *         rc = with_mariadb_result(mysql, &result, pirn_after_s(5));
 *     ...
 *     if (rc == -EREMOTEIO)
 *         puts(mysql_error(mysql));
 *     with_mariadb_close(mysql, pirn_after_s(1));
 *
 * What all calls return: 0; -EREMOTEIO, mysql_error says what it was; or how the waiting ended,
 * -ETIMEDOUT, -ECANCELED, -ESHUTDOWN. After one of these the connection is of no more use (close
 * it): libmariadb was in the middle of something, and was told that it has run out of time, so that
 * it clears up after itself. The server may go on with the query: with_mariadb_kill.
 *
 * A connection belongs to one coroutine at a time. The program calls mysql_library_init before the
 * first pirn_run. The coroutine gets a stack of WITH_MARIADB_STACK. (libmariadb runs each call on a
 * small stack of its own beside it, switched by its own means; those do not notice pirn's.)
 */
#ifndef WITH_MARIADB_H
#define WITH_MARIADB_H

#include <arpa/inet.h>
#include <errno.h>
#include <mysql.h>
#include <pirn.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    WITH_MARIADB_STACK = 256 * 1024
};

typedef struct with_mariadb {
    MYSQL *mysql;
    pirn_time deadline;
    int stopped; /* why the waiting has ended, 0 */
} with_mariadb;

/* Waits for what one of libmariadb's calls asks for; what came is for its _cont function. Once the
 * waiting has ended everything has run out of time, at once. */
static inline int with_mariadb_wait(with_mariadb *w, int wants)
{
    pirn_time until = w->deadline;
    unsigned events = ((wants & MYSQL_WAIT_READ) != 0 ? POLLIN : 0u) |
                      ((wants & MYSQL_WAIT_WRITE) != 0 ? POLLOUT : 0u) |
                      ((wants & MYSQL_WAIT_EXCEPT) != 0 ? POLLPRI : 0u);
    if (w->stopped != 0)
        return MYSQL_WAIT_TIMEOUT;
    if ((wants & MYSQL_WAIT_TIMEOUT) != 0) { /* its own, of mysql_options */
        pirn_time own = pirn_after_ms(mysql_get_timeout_value_ms(w->mysql));
        if (own.ns < until.ns)
            until = own;
    }
    int came = pirn_poll(mysql_get_socket(w->mysql), events, until);
    if (came < 0) {
        if (came != -ETIMEDOUT || until.ns == w->deadline.ns)
            w->stopped = came;
        return MYSQL_WAIT_TIMEOUT;
    }
    if ((came & (POLLERR | POLLHUP)) != 0) /* it will find out */
        return wants & ~MYSQL_WAIT_TIMEOUT;
    return ((came & POLLIN) != 0 ? MYSQL_WAIT_READ : 0) |
           ((came & POLLOUT) != 0 ? MYSQL_WAIT_WRITE : 0) |
           ((came & POLLPRI) != 0 ? MYSQL_WAIT_EXCEPT : 0);
}

static inline int with_mariadb_outcome(const with_mariadb *w, bool good)
{
    if (good)
        return 0;
    return w->stopped != 0 ? w->stopped : -EREMOTEIO;
}

/* Connects; once for each mysql_init. host: a name, an address, or the path of a Unix socket. A
 * name is looked up here, for libmariadb would do that blocking; its first address is taken. */
static inline int with_mariadb_connect(MYSQL *mysql, const char *host, unsigned port,
                                       const char *user, const char *password, const char *database,
                                       pirn_time deadline)
{
    with_mariadb w = {mysql, deadline, 0};
    const char *path = *host == '/' ? host : NULL;
    char address[INET6_ADDRSTRLEN];
    MYSQL *connected;
    if (path == NULL) {
        pirn_address *list;
        int n = pirn_resolve(host, NULL, NULL, &list, deadline);
        if (n < 0)
            return n;
        bool six = list->addr.any.sa_family == AF_INET6;
        inet_ntop(list->addr.any.sa_family,
                  six ? (void *)&list->addr.in6.sin6_addr : (void *)&list->addr.in.sin_addr,
                  address, sizeof(address));
        pirn_addresses_free(list);
    }
    mysql_options(mysql, MYSQL_OPT_NONBLOCK, NULL);
    int wants = mysql_real_connect_start(&connected, mysql, path != NULL ? NULL : address, user,
                                         password, database, port, path, 0);
    while (wants != 0)
        wants = mysql_real_connect_cont(&connected, mysql, with_mariadb_wait(&w, wants));
    return with_mariadb_outcome(&w, connected != NULL);
}

static inline int with_mariadb_query(MYSQL *mysql, const char *query, pirn_time deadline)
{
    with_mariadb w = {mysql, deadline, 0};
    int failed;
    int wants = mysql_real_query_start(&failed, mysql, query, strlen(query));
    while (wants != 0)
        wants = mysql_real_query_cont(&failed, mysql, with_mariadb_wait(&w, wants));
    return with_mariadb_outcome(&w, !failed);
}

/* All rows: *ret_result, for mysql_free_result; NULL if the statement has none. */
static inline int with_mariadb_result(MYSQL *mysql, MYSQL_RES **ret_result, pirn_time deadline)
{
    with_mariadb w = {mysql, deadline, 0};
    MYSQL_RES *result;
    int wants = mysql_store_result_start(&result, mysql);
    while (wants != 0)
        wants = mysql_store_result_cont(&result, mysql, with_mariadb_wait(&w, wants));
    if (result == NULL && mysql_errno(mysql) != 0)
        return with_mariadb_outcome(&w, false);
    *ret_result = result;
    return 0;
}

/* A procedure has several results, the last of them empty: 1, there is another for
 * with_mariadb_result; 0, there is none. */
static inline int with_mariadb_next(MYSQL *mysql, pirn_time deadline)
{
    with_mariadb w = {mysql, deadline, 0};
    int rc;
    int wants = mysql_next_result_start(&rc, mysql);
    while (wants != 0)
        wants = mysql_next_result_cont(&rc, mysql, with_mariadb_wait(&w, wants));
    return rc <= 0 ? rc == 0 : with_mariadb_outcome(&w, false);
}

/* Says good-bye, and frees it; always. */
static inline void with_mariadb_close(MYSQL *mysql, pirn_time deadline)
{
    with_mariadb w = {mysql, deadline, 0};
    int wants = mysql_close_start(mysql);
    while (wants != 0)
        wants = mysql_close_cont(mysql, with_mariadb_wait(&w, wants));
}

/* Has the server end the connection of that number (mysql_thread_id, asked for while it was good),
 * and what it does for that, over this other one. */
static inline int with_mariadb_kill(MYSQL *other, unsigned long number, pirn_time deadline)
{
    char query[40];
    snprintf(query, sizeof(query), "KILL %lu", number);
    return with_mariadb_query(other, query, deadline);
}

#endif
