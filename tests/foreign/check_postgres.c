/*
 * api/examples/with_postgres.h against a server: test_postgres.sh starts one and says where it is.
 */
#include "api/examples/with_postgres.h"

#include "tests/foreign/peer.h"

static PGconn *connected(void)
{
    PGconn *conn;
    CHECK_OK(with_postgres_connect(&conn, peer_setting("PIRN_POSTGRES"), PIRN_NEVER));
    if (PQstatus(conn) != CONNECTION_OK)
        support_fail(__FILE__, __LINE__, __func__, "%s", PQerrorMessage(conn));
    return conn;
}

static PGresult *next(PGconn *conn, ExecStatusType kind)
{
    PGresult *result;
    CHECK_OK(with_postgres_result(conn, &result, PIRN_NEVER));
    CHECK(result != NULL);
    if (PQresultStatus(result) != kind)
        support_fail(__FILE__, __LINE__, __func__, "%s", PQresultErrorMessage(result));
    return result;
}

static void no_more(PGconn *conn)
{
    PGresult *result;
    CHECK_OK(with_postgres_result(conn, &result, PIRN_NEVER));
    CHECK(result == NULL);
}

/* The one number that the query gives. */
static long number(PGconn *conn, const char *query)
{
    CHECK(PQsendQuery(conn, query));
    PGresult *result = next(conn, PGRES_TUPLES_OK);
    CHECK_EQ(PQntuples(result), 1);
    long value = atol(PQgetvalue(result, 0, 0));
    PQclear(result);
    no_more(conn);
    return value;
}

/* ---- Answers ----------------------------------------------------------------------------- */

enum {
    ASKERS = 6,
    ROWS = 5000,
    LONG_TEXT = 3 << 20 /* more than the sockets hold: the query is sent in parts */
};

static int asker(void *arg)
{
    PGconn *conn = connected();
    char text[200], *text_of_query = malloc(LONG_TEXT + 1);
    const char *values[] = {text_of_query};
    for (int round = 0; round < 3; round++) {
        snprintf(text, sizeof(text), "SELECT i, i * %ld FROM generate_series(1, %d) i; SELECT 7",
                 (long)(intptr_t)arg, ROWS);
        CHECK(PQsendQuery(conn, text));
        PGresult *result = next(conn, PGRES_TUPLES_OK);
        CHECK_EQ(PQntuples(result), ROWS);
        for (int i = 0; i < ROWS; i++) {
            CHECK_EQ(atol(PQgetvalue(result, i, 0)), i + 1);
            CHECK_EQ(atol(PQgetvalue(result, i, 1)), (i + 1) * (intptr_t)arg);
        }
        PQclear(result);
        result = next(conn, PGRES_TUPLES_OK);
        CHECK_EQ(atol(PQgetvalue(result, 0, 0)), 7);
        PQclear(result);
        no_more(conn);
    }
    CHECK(text_of_query != NULL);
    memset(text_of_query, 'x', LONG_TEXT);
    text_of_query[LONG_TEXT] = '\0';
    CHECK(PQsendQueryParams(conn, "SELECT $1::text", 1, NULL, values, NULL, NULL, 0));
    PGresult *result = next(conn, PGRES_TUPLES_OK);
    CHECK_EQ(PQgetlength(result, 0, 0), LONG_TEXT);
    CHECK_OK(strcmp(PQgetvalue(result, 0, 0), text_of_query));
    PQclear(result);
    no_more(conn);
    free(text_of_query);
    PQfinish(conn);
    return 0;
}

static int askers(void *arg)
{
    pirn_task *tasks[ASKERS];
    (void)arg;
    for (int i = 0; i < ASKERS; i++)
        tasks[i] = support_spawn(asker, (void *)(intptr_t)(i + 1));
    for (int i = 0; i < ASKERS; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(answers_are_complete)
{
    FOR_WORKERS(w)
    CHECK_OK(peer_run(w, askers, NULL));
}
END_TEST

/* Nobody's query ends before all are under way. */
static int met(void *arg)
{
    PGconn *conn = connected();
    (void)arg;
    CHECK(PQsendQuery(conn, "CALL meet(6)"));
    PQclear(next(conn, PGRES_COMMAND_OK));
    no_more(conn);
    PQfinish(conn);
    return 0;
}

static int meeting(void *arg)
{
    pirn_task *tasks[ASKERS];
    PGconn *conn = connected();
    (void)arg;
    CHECK(PQsendQuery(conn, "TRUNCATE met"));
    PQclear(next(conn, PGRES_COMMAND_OK));
    no_more(conn);
    PQfinish(conn);
    for (int i = 0; i < ASKERS; i++)
        tasks[i] = support_spawn(met, NULL);
    for (int i = 0; i < ASKERS; i++)
        CHECK_OK(support_join(tasks[i]));
    return 0;
}

START_TEST(queries_run_at_the_same_time)
{
    FOR_WORKERS(w)
    CHECK_OK(peer_run(w, meeting, NULL));
}
END_TEST

/* ---- Those that are given up --------------------------------------------------------------- */

static int late(void *arg)
{
    PGconn *conn = connected();
    PGresult *result;
    (void)arg;
    pirn_time deadline = pirn_after_ms(SHORT_MS);
    CHECK(PQsendQuery(conn, "SELECT pg_sleep(1000)"));
    CHECK_EQ(with_postgres_result(conn, &result, deadline), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, deadline.ns);
    CHECK_OK(with_postgres_stop(conn, PIRN_NEVER));
    CHECK_EQ(number(conn, "SELECT 5"), 5);
    /* Nothing to stop: a request that comes too late does no harm. */
    CHECK_OK(with_postgres_stop(conn, PIRN_NEVER));
    PQfinish(conn);
    return 0;
}

START_TEST(a_query_that_takes_too_long_is_stopped)
{
    FOR_WORKERS(w)
    CHECK_OK(peer_run(w, late, NULL));
}
END_TEST

static int sleeper(void *arg)
{
    PGconn *conn = connected();
    PGresult *result;
    (void)arg;
    CHECK(PQsendQuery(conn, "SELECT pg_sleep(1000)"));
    int rc = with_postgres_result(conn, &result, PIRN_NEVER);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_OK(with_postgres_stop(conn, PIRN_NEVER));
    CHECK_EQ(number(conn, "SELECT 6"), 6);
    PQfinish(conn);
    return rc;
}

static int cancelling(void *arg)
{
    const char *asleep = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                         "query = 'SELECT pg_sleep(1000)'";
    PGconn *conn = connected();
    pirn_task *tasks[ASKERS];
    (void)arg;
    for (int i = 0; i < ASKERS; i++)
        tasks[i] = support_spawn(sleeper, NULL);
    while (number(conn, asleep) < ASKERS)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    for (int i = 0; i < ASKERS; i++)
        CHECK_OK(pirn_cancel(tasks[i], NULL));
    for (int i = 0; i < ASKERS; i++)
        CHECK_EQ(support_join(tasks[i]), -ECANCELED);
    CHECK_EQ(number(conn, asleep), 0);
    PQfinish(conn);
    return 0;
}

START_TEST(a_cancel_stops_the_query_and_spares_the_connection)
{
    FOR_WORKERS(w)
    CHECK_OK(peer_run(w, cancelling, NULL));
}
END_TEST

/* ---- Servers that are not there -------------------------------------------------------------- */

static int to_silence(void *arg)
{
    PGconn *conn;
    int rc = with_postgres_connect(&conn, arg, PIRN_NEVER);
    CHECK_LE(rc, -1);
    return rc;
}

static int absent(void *arg)
{
    char silent[100], closed[100];
    PGconn *conn;
    int fds[2];
    (void)arg;
    snprintf(silent, sizeof(silent), "host=127.0.0.1 user=me dbname=test port=%d",
             peer_silent(&fds[0]));
    snprintf(closed, sizeof(closed), "host=127.0.0.1 user=me dbname=test port=%d",
             peer_closed(&fds[1]));
    pirn_time deadline = pirn_after_ms(SHORT_MS);
    CHECK_EQ(with_postgres_connect(&conn, silent, deadline), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, deadline.ns);
    CHECK_OK(with_postgres_connect(&conn, closed, PIRN_NEVER));
    CHECK_EQ(PQstatus(conn), CONNECTION_BAD);
    CHECK(strstr(PQerrorMessage(conn), "refused") != NULL);
    PQfinish(conn);
    int rc = with_postgres_connect(&conn, "host=no.such.name.invalid", PIRN_NOW);
    CHECK(rc == -ETIMEDOUT || rc == -ENOENT); /* see check_mariadb.c */
    peer_crowd(to_silence, silent);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

START_TEST(servers_that_are_not_there)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(peer_run(w, absent, NULL));
    support_no_more_than(before);
}
END_TEST

static int terminated(void *arg)
{
    PGconn *conn = connected(), *other = connected();
    char text[100];
    (void)arg;
    snprintf(text, sizeof(text), "SELECT pg_terminate_backend(%d)::int", PQbackendPID(conn));
    CHECK(PQsendQuery(conn, "SELECT pg_sleep(1000)"));
    CHECK_EQ(PQflush(conn), 0);
    CHECK_EQ(number(other, text), 1);
    PGresult *result = next(conn, PGRES_FATAL_ERROR);
    do { /* what the server said, and that it has gone */
        PQclear(result);
        CHECK_OK(with_postgres_result(conn, &result, PIRN_NEVER));
    } while (result != NULL);
    CHECK_EQ(PQstatus(conn), CONNECTION_BAD);
    CHECK(with_postgres_stop(conn, PIRN_NEVER) < 0);
    PQfinish(conn);
    PQfinish(other);
    return 0;
}

START_TEST(a_connection_that_breaks)
{
    FOR_WORKERS(w)
    CHECK_OK(peer_run(w, terminated, NULL));
}
END_TEST

SUPPORT_MAIN("postgres", answers_are_complete, queries_run_at_the_same_time,
             a_query_that_takes_too_long_is_stopped,
             a_cancel_stops_the_query_and_spares_the_connection, servers_that_are_not_there,
             a_connection_that_breaks)
