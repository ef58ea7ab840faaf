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
    (void)arg;
    peer_several(asker);
    return 0;
}

START_TEST(answers_are_complete)
{
    peer_everywhere(askers);
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
    PGconn *conn = connected();
    (void)arg;
    CHECK(PQsendQuery(conn, "TRUNCATE met"));
    PQclear(next(conn, PGRES_COMMAND_OK));
    no_more(conn);
    PQfinish(conn);
    peer_several(met);
    return 0;
}

START_TEST(queries_run_at_the_same_time)
{
    peer_everywhere(meeting);
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
    peer_everywhere(late);
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

static long asleep(void *conn)
{
    return number(conn, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                        "query = 'SELECT pg_sleep(1000)'");
}

static int cancelling(void *arg)
{
    PGconn *conn = connected();
    (void)arg;
    peer_cancel_several(sleeper, asleep, conn);
    CHECK_EQ(asleep(conn), 0);
    PQfinish(conn);
    return 0;
}

START_TEST(a_cancel_stops_the_query_and_spares_the_connection)
{
    peer_everywhere(cancelling);
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
    peer_everywhere(absent);
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
    peer_everywhere(terminated);
}
END_TEST

SUPPORT_MAIN("postgres", answers_are_complete, queries_run_at_the_same_time,
             a_query_that_takes_too_long_is_stopped,
             a_cancel_stops_the_query_and_spares_the_connection, servers_that_are_not_there,
             a_connection_that_breaks)
