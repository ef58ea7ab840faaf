/*
 * libpq in coroutines: copy this file. Its non-blocking calls, with pirn_poll where they would
 * wait.
 *
 *     PGconn *conn;
 *     PGresult *result;
 *     int rc = with_postgres_connect(&conn, "host=db.example dbname=test", pirn_after_s(5));
 *     if (rc < 0)
 *         return rc;
 *     if (PQstatus(conn) == CONNECTION_OK && PQsendQuery(conn, "SELECT 1")) {
 *         rc = with_postgres_result(conn, &result, pirn_after_s(5));
 *         while (rc == 0 && result != NULL) {
 *             ...
 *             PQclear(result);
 *             rc = with_postgres_result(conn, &result, pirn_after_s(5));
 *         }
 *         if (rc < 0)
 *             rc = with_postgres_stop(conn, pirn_after_s(1));
 *     }
 *     PQfinish(conn);
 *
 * A connection belongs to one coroutine at a time, as libpq asks of threads. Any PQsend function
 * can take PQsendQuery's place. The coroutine gets a stack of WITH_POSTGRES_STACK.
 */
#ifndef WITH_POSTGRES_H
#define WITH_POSTGRES_H

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <pirn.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    WITH_POSTGRES_STACK = 256 * 1024
};

/* One attempt, at the address if there is one; what with_postgres_connect returns. */
static inline int with_postgres_attempt(PGconn **ret_conn, const char *conninfo,
                                        const char *address, pirn_time deadline)
{
    const char *const names[] = {"dbname", address != NULL ? "hostaddr" : NULL, NULL};
    const char *const values[] = {conninfo, address, NULL};
    PGconn *conn = PQconnectStartParams(names, values, 1); /* 1: dbname is a connection string */
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    if (conn == NULL)
        return -ENOMEM;
    while (PQstatus(conn) != CONNECTION_BAD && wants != PGRES_POLLING_OK &&
           wants != PGRES_POLLING_FAILED) {
        int rc =
            pirn_poll(PQsocket(conn), wants == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
        if (rc < 0) {
            PQfinish(conn);
            return rc;
        }
        wants = PQconnectPoll(conn); /* the socket may be another one from now on */
    }
    if (PQstatus(conn) == CONNECTION_OK)
        PQsetnonblocking(conn, 1);
    *ret_conn = conn;
    return 0;
}

/* The host's name, if libpq would have to look that up, which it does blocking; NULL. Caller
 * frees. */
static inline char *with_postgres_name(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    char *name = NULL;
    for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
        if (o->val == NULL)
            continue;
        if (strcmp(o->keyword, "hostaddr") == 0) {
            free(name);
            name = NULL;
            break;
        }
        if (strcmp(o->keyword, "host") == 0 && strpbrk(o->val, "/,@") == NULL && *o->val != '\0')
            name = strdup(o->val);
    }
    PQconninfoFree(options);
    return name;
}

/*
 * Connects. 0: libpq is through, and PQstatus(*ret_conn) says how it went; the caller's, for
 * PQfinish.
 * -ETIMEDOUT, -ECANCELED, ...; -ENOENT and what else pirn_resolve returns.
 */
static inline int with_postgres_connect(PGconn **ret_conn, const char *conninfo, pirn_time deadline)
{
    char *name = with_postgres_name(conninfo);
    pirn_address *list;
    PGconn *conn = NULL;
    if (name == NULL)
        return with_postgres_attempt(ret_conn, conninfo, NULL, deadline);
    int n = pirn_resolve(name, NULL, NULL, &list, deadline);
    free(name);
    if (n < 0)
        return n;
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) { /* until one answers */
        char address[INET6_ADDRSTRLEN + 32];
        int family = list[i].addr.any.sa_family;
        const void *bytes = family == AF_INET6 ? (void *)&list[i].addr.in6.sin6_addr
                                               : (void *)&list[i].addr.in.sin_addr;
        PQfinish(conn);
        conn = NULL;
        if (inet_ntop(family, bytes, address, sizeof(address)) != NULL)
            rc = with_postgres_attempt(&conn, conninfo, address, deadline);
        if (rc == 0 && PQstatus(conn) == CONNECTION_OK)
            break;
    }
    pirn_addresses_free(list);
    if (rc == 0)
        *ret_conn = conn;
    return rc;
}

/*
 * The next result of what was sent: *ret_result, for PQclear, or NULL after the last. 0, or
 * -ETIMEDOUT, -ECANCELED, ...: the server is still at it; come again, or stop it. That the
 * connection has broken is a result, too.
 */
static inline int with_postgres_result(PGconn *conn, PGresult **ret_result, pirn_time deadline)
{
    int rc;
    /* While the server does not take all of a query it may be that it wants to be read first. */
    while (PQflush(conn) > 0) {
        rc = pirn_poll(PQsocket(conn), POLLIN | POLLOUT, deadline);
        if (rc < 0)
            return rc;
        if ((rc & POLLIN) != 0 && !PQconsumeInput(conn))
            break;
    }
    while (PQisBusy(conn)) {
        rc = pirn_poll(PQsocket(conn), POLLIN, deadline);
        if (rc < 0)
            return rc;
        if (!PQconsumeInput(conn))
            break;
    }
    *ret_result = PQgetResult(conn); /* does not wait now */
    return 0;
}

static inline int with_postgres_request_stop(void *cancel)
{
    char why[256];
    return PQcancel(cancel, why, sizeof(why)) ? 0 : -EIO;
}

static inline void with_postgres_free_cancel(void *cancel)
{
    PQfreeCancel(cancel);
}

/*
 * Has the server stop what it does for this connection, and takes what is left of its answer. 0:
 * the connection can be used again. Else PQfinish it: the server could not be told in time. Also in
 * a coroutine that is cancelled, hence the shield. (PQcancel blocks, so it is a job of the pool.
 * Since PostgreSQL 17 there is PQcancelStart.)
 */
static inline int with_postgres_stop(PGconn *conn, pirn_time deadline)
{
    pirn_job_config config = PIRN_JOB_CONFIG_INIT;
    PGcancel *cancel = PQgetCancel(conn);
    PGresult *result = NULL;
    pirn_job *job;
    int status = 0;
    if (cancel == NULL)
        return -ENOTCONN;
    config.arg_drop = with_postgres_free_cancel;
    bool shielded = pirn_shield_enter() == 0;
    int rc = pirn_thread_pool_submit_with(NULL, &job, &config, with_postgres_request_stop, cancel);
    if (rc == 0) {
        rc = pirn_await(job, &status, deadline); /* at the deadline it is left alone */
        pirn_release(job);
    } else if (rc != -ESHUTDOWN) {
        PQfreeCancel(cancel);
    }
    if (rc == 0)
        rc = status;
    while (rc == 0 && (rc = with_postgres_result(conn, &result, deadline)) == 0 && result != NULL) {
        ExecStatusType kind = PQresultStatus(result);
        if (kind == PGRES_COPY_IN || kind == PGRES_COPY_OUT || kind == PGRES_COPY_BOTH)
            rc = -EBUSY; /* it would be the same again and again */
        PQclear(result);
    }
    if (shielded)
        pirn_shield_leave();
    return rc == 0 && PQstatus(conn) != CONNECTION_OK ? -ENOTCONN : rc;
}

#endif
