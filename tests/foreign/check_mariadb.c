/*
 * api/examples/with_mariadb.h against a server: test_mariadb.sh starts one and says where it is.
 */
#include "api/examples/with_mariadb.h"

#include "tests/foreign/peer.h"

static int try_connect(MYSQL *mysql, int port, pirn_time deadline)
{
    return with_mariadb_connect(mysql, "127.0.0.1", (unsigned)port, "root", "root", "test",
                                deadline);
}

static MYSQL *connected(void)
{
    MYSQL *mysql = mysql_init(NULL);
    int rc = try_connect(mysql, atoi(peer_setting("PIRN_MARIADB")), PIRN_NEVER);
    if (rc != 0)
        support_fail(__FILE__, __LINE__, __func__, "%d: %s", rc, mysql_error(mysql));
    return mysql;
}

static void ask(MYSQL *mysql, const char *query)
{
    int rc = with_mariadb_query(mysql, query, PIRN_NEVER);
    if (rc != 0)
        support_fail(__FILE__, __LINE__, __func__, "%d: %s", rc, mysql_error(mysql));
}

static MYSQL_RES *result_of(MYSQL *mysql)
{
    MYSQL_RES *result;
    CHECK_OK(with_mariadb_result(mysql, &result, PIRN_NEVER));
    return result;
}

/* The one number that the query gives. */
static long number(MYSQL *mysql, const char *query)
{
    ask(mysql, query);
    MYSQL_RES *result = result_of(mysql);
    long value = atol(mysql_fetch_row(result)[0]);
    mysql_free_result(result);
    return value;
}

/* ---- Answers ----------------------------------------------------------------------------- */

enum {
    ROWS = 5000,
    LONG_TEXT = 3 << 20 /* more than the sockets hold: the query is sent in parts */
};

static int asker(void *arg)
{
    MYSQL *mysql = connected();
    char text[200], *query = malloc(LONG_TEXT + 20);
    for (int round = 0; round < 3; round++) {
        snprintf(text, sizeof(text), "SELECT seq, seq * %ld FROM seq_1_to_%d", (long)(intptr_t)arg,
                 ROWS);
        ask(mysql, text);
        MYSQL_RES *result = result_of(mysql);
        CHECK_EQ(mysql_num_rows(result), ROWS);
        for (int i = 1; i <= ROWS; i++) {
            MYSQL_ROW row = mysql_fetch_row(result);
            CHECK_EQ(atol(row[0]), i);
            CHECK_EQ(atol(row[1]), i * (intptr_t)arg);
        }
        mysql_free_result(result);
        CHECK_OK(with_mariadb_next(mysql, PIRN_NEVER));
    }
    CHECK(query != NULL);
    strcpy(query, "SELECT '");
    memset(query + 8, 'x', LONG_TEXT);
    strcpy(query + 8 + LONG_TEXT, "'");
    ask(mysql, query);
    MYSQL_RES *result = result_of(mysql);
    CHECK_OK(strncmp(mysql_fetch_row(result)[0], query + 8, LONG_TEXT));
    mysql_free_result(result);
    free(query);
    /* A statement without rows, and one that is none. */
    ask(mysql, "SET @a = 1");
    CHECK(result_of(mysql) == NULL);
    CHECK_EQ(with_mariadb_query(mysql, "SELEC", PIRN_NEVER), -EREMOTEIO);
    CHECK_EQ(number(mysql, "SELECT @a"), 1);
    with_mariadb_close(mysql, PIRN_NEVER);
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

/* Nobody's call ends before all are under way; it gives two results, and says how it went. */
static int met(void *arg)
{
    MYSQL *mysql = connected();
    (void)arg;
    ask(mysql, "CALL meet(6)");
    for (int i = 1; i <= 2; i++) {
        MYSQL_RES *result = result_of(mysql);
        CHECK_EQ(atol(mysql_fetch_row(result)[0]), i);
        mysql_free_result(result);
        CHECK_EQ(with_mariadb_next(mysql, PIRN_NEVER), 1);
    }
    CHECK(result_of(mysql) == NULL);
    CHECK_OK(with_mariadb_next(mysql, PIRN_NEVER));
    with_mariadb_close(mysql, PIRN_NEVER);
    return 0;
}

static int meeting(void *arg)
{
    MYSQL *mysql = connected();
    (void)arg;
    ask(mysql, "DELETE FROM met");
    with_mariadb_close(mysql, PIRN_NEVER);
    peer_several(met);
    return 0;
}

START_TEST(queries_run_at_the_same_time)
{
    peer_everywhere(meeting);
}
END_TEST

/* ---- Those that are given up --------------------------------------------------------------- */

static long asleep(void *mysql)
{
    return number(mysql, "SELECT COUNT(*) FROM information_schema.processlist WHERE "
                         "info = 'SELECT SLEEP(1000)'");
}

static void nobody_sleeps(MYSQL *mysql)
{
    while (asleep(mysql) > 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
}

static int late(void *arg)
{
    MYSQL *mysql = connected(), *other = connected();
    unsigned long id = mysql_thread_id(mysql);
    (void)arg;
    pirn_time deadline = pirn_after_ms(SHORT_MS);
    CHECK_EQ(with_mariadb_query(mysql, "SELECT SLEEP(1000)", deadline), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, deadline.ns);
    /* It is of no more use, and does no harm. */
    CHECK_EQ(with_mariadb_query(mysql, "SELECT 1", PIRN_NEVER), -EREMOTEIO);
    with_mariadb_close(mysql, PIRN_NEVER);
    CHECK_OK(with_mariadb_kill(other, id, PIRN_NEVER));
    nobody_sleeps(other);
    with_mariadb_close(other, PIRN_NEVER);
    return 0;
}

START_TEST(a_query_that_takes_too_long)
{
    peer_everywhere(late);
}
END_TEST

static unsigned long ids[SEVERAL];

static int sleeper(void *arg)
{
    MYSQL *mysql = connected();
    ids[(intptr_t)arg - 1] = mysql_thread_id(mysql);
    int rc = with_mariadb_query(mysql, "SELECT SLEEP(1000)", PIRN_NEVER);
    with_mariadb_close(mysql, PIRN_NEVER);
    return rc;
}

static int cancelling(void *arg)
{
    MYSQL *mysql = connected();
    (void)arg;
    peer_cancel_several(sleeper, asleep, mysql);
    for (int i = 0; i < SEVERAL; i++)
        CHECK_OK(with_mariadb_kill(mysql, ids[i], PIRN_NEVER));
    nobody_sleeps(mysql);
    with_mariadb_close(mysql, PIRN_NEVER);
    return 0;
}

START_TEST(a_cancel_gives_the_query_up)
{
    peer_everywhere(cancelling);
}
END_TEST

/* libmariadb's own timeout is an error of its own. */
static int own_timeout(void *arg)
{
    MYSQL *mysql = mysql_init(NULL), *other = connected();
    unsigned seconds = 1;
    (void)arg;
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    CHECK_OK(try_connect(mysql, atoi(peer_setting("PIRN_MARIADB")), PIRN_NEVER));
    unsigned long id = mysql_thread_id(mysql);
    CHECK_EQ(with_mariadb_query(mysql, "SELECT SLEEP(1000)", PIRN_NEVER), -EREMOTEIO);
    with_mariadb_close(mysql, PIRN_NEVER);
    CHECK_OK(with_mariadb_kill(other, id, PIRN_NEVER));
    nobody_sleeps(other);
    with_mariadb_close(other, PIRN_NEVER);
    return 0;
}

START_TEST(libmariadbs_own_timeout)
{
    CHECK_OK(peer_run(2, own_timeout, NULL));
}
END_TEST

/* ---- Servers that are not there -------------------------------------------------------------- */

static int to_silence(void *arg)
{
    MYSQL *mysql = mysql_init(NULL);
    int rc = try_connect(mysql, *(int *)arg, PIRN_NEVER);
    with_mariadb_close(mysql, PIRN_NEVER);
    return rc;
}

static int absent(void *arg)
{
    int fds[2], silent = peer_silent(&fds[0]), closed = peer_closed(&fds[1]);
    MYSQL *mysql = mysql_init(NULL);
    (void)arg;
    pirn_time deadline = pirn_after_ms(SHORT_MS);
    CHECK_EQ(try_connect(mysql, silent, deadline), -ETIMEDOUT);
    CHECK_GE(pirn_now().ns, deadline.ns);
    with_mariadb_close(mysql, PIRN_NEVER);
    mysql = mysql_init(NULL);
    CHECK_EQ(try_connect(mysql, closed, PIRN_NEVER), -EREMOTEIO);
    CHECK(mysql_errno(mysql) != 0);
    with_mariadb_close(mysql, PIRN_NEVER);
    mysql = mysql_init(NULL);
    int rc = with_mariadb_connect(mysql, "no.such.name.invalid", 1, "", "", "", PIRN_NOW);
    CHECK(rc == -ETIMEDOUT ||
          rc == -ENOENT); /* the thread that looks may be sooner than a look at it */
    with_mariadb_close(mysql, PIRN_NEVER);
    peer_crowd(to_silence, &silent);
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

static int killed(void *arg)
{
    MYSQL *mysql = connected(), *other = connected();
    (void)arg;
    CHECK_OK(with_mariadb_kill(other, mysql_thread_id(mysql), PIRN_NEVER));
    CHECK_EQ(with_mariadb_query(mysql, "SELECT SLEEP(1000)", PIRN_NEVER), -EREMOTEIO);
    with_mariadb_close(mysql, PIRN_NEVER);
    with_mariadb_close(other, PIRN_NEVER);
    return 0;
}

START_TEST(a_connection_that_breaks)
{
    peer_everywhere(killed);
}
END_TEST

SUPPORT_MAIN("mariadb", answers_are_complete, queries_run_at_the_same_time,
             a_query_that_takes_too_long, libmariadbs_own_timeout, a_cancel_gives_the_query_up,
             servers_that_are_not_there, a_connection_that_breaks)
