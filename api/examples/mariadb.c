/*
 * Queries by libmariadb: mariadb [-w WORKERS] [-t SECONDS] [-b] [-u USER] [-d DATABASE] HOST[:PORT]
 * QUERY... asks all queries at once, each over a connection of its own and within so many seconds
 * (30), and prints the rows of each as they come, with its number before them. HOST may be the path
 * of a Unix socket. The password is in the environment: MYSQL_PWD. A query that takes too long, or
 * SIGINT, is stopped at the server, too.
 *
 * with_mariadb.h has the glue. -b does it as one would with a library that can only block: its
 * calls are made on the threads of the default pool, and the coroutine waits for those. That limits
 * how many run at once, and what has begun cannot be given up: the library's own timeouts must do.
 */
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "with_mariadb.h"

typedef struct errand {
    char *host;
    const char *user, *password, *database;
    char **queries;
    int n, workers;
    unsigned port;
    bool blocking;
    double seconds;
    atomic_int next, failed;
} errand;

typedef struct question {
    errand *e;
    const char *query;
    MYSQL *mysql;
    int number;
} question;

/* The whole answer in one printf, so that those of others do not come in between. */
static void print(const question *q, MYSQL_RES *result)
{
    char *text;
    size_t len;
    MYSQL_ROW row;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return;
    while ((row = mysql_fetch_row(result)) != NULL) {
        fprintf(out, "%d: ", q->number);
        for (unsigned i = 0; i < mysql_num_fields(result); i++)
            fprintf(out, "%s%s", i > 0 ? "|" : "", row[i] != NULL ? row[i] : "");
        fputc('\n', out);
    }
    fclose(out);
    printf("%s", text);
    free(text);
}

/* ---- Waiting as a coroutine ---------------------------------------------------------------- */

/* The server does not look whether anybody is still there while it is at it. */
static void stop(question *q, unsigned long number)
{
    errand *e = q->e;
    pirn_time deadline = pirn_after_s(5);
    MYSQL *other = mysql_init(NULL);
    if (other == NULL)
        return;
    bool shielded = pirn_shield_enter() == 0;
    if (with_mariadb_connect(other, e->host, e->port, e->user, e->password, NULL, deadline) == 0)
        with_mariadb_kill(other, number, deadline);
    with_mariadb_close(other, deadline);
    if (shielded)
        pirn_shield_leave();
}

static int ask_waiting(question *q)
{
    errand *e = q->e;
    pirn_time deadline = pirn_after_s(e->seconds);
    MYSQL_RES *result;
    int rc = with_mariadb_connect(q->mysql, e->host, e->port, e->user, e->password, e->database,
                                  deadline);
    if (rc != 0)
        return rc;
    unsigned long number = mysql_thread_id(q->mysql);
    rc = with_mariadb_query(q->mysql, q->query, deadline);
    while (rc == 0 && (rc = with_mariadb_result(q->mysql, &result, deadline)) == 0) {
        if (result != NULL) {
            print(q, result);
            mysql_free_result(result);
        }
        rc = with_mariadb_next(q->mysql, deadline);
        if (rc <= 0)
            break;
        rc = 0;
    }
    if (rc < 0 && rc != -EREMOTEIO)
        stop(q, number);
    return rc;
}

/* ---- Blocking a thread --------------------------------------------------------------------- */

static int ask_blocking(void *arg)
{
    question *q = arg;
    errand *e = q->e;
    unsigned seconds = (unsigned)e->seconds + 1;
    const char *path = *e->host == '/' ? e->host : NULL;
    int more = 0;
    mysql_options(q->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(q->mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_options(q->mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    if (mysql_real_connect(q->mysql, path != NULL ? NULL : e->host, e->user, e->password,
                           e->database, e->port, path, 0) == NULL ||
        mysql_query(q->mysql, q->query) != 0)
        return -EREMOTEIO;
    for (; more == 0; more = mysql_next_result(q->mysql)) {
        MYSQL_RES *result = mysql_store_result(q->mysql);
        if (result == NULL && mysql_errno(q->mysql) != 0)
            return -EREMOTEIO;
        if (result != NULL) {
            print(q, result);
            mysql_free_result(result);
        }
    }
    return more < 0 ? 0 : -EREMOTEIO;
}

/* ---- Both ---------------------------------------------------------------------------------- */

static int ask(void *arg)
{
    errand *e = arg;
    int rc, status = 0, i = atomic_fetch_add(&e->next, 1);
    question q = {e, e->queries[i], mysql_init(NULL), i + 1};
    if (q.mysql == NULL)
        return -ENOMEM;
    if (!e->blocking) {
        rc = ask_waiting(&q);
    } else {
        rc = pirn_to_thread(ask_blocking, &q, &status, PIRN_NEVER);
        rc = rc == 0 ? status : rc;
    }
    if (rc != 0) {
        printf("%d: failed: %s\n", q.number,
               rc == -EREMOTEIO ? mysql_error(q.mysql) : strerror(-rc));
        atomic_fetch_add(&e->failed, 1);
    }
    if (e->blocking)
        mysql_close(q.mysql);
    else
        with_mariadb_close(q.mysql, pirn_after_s(1));
    return 0; /* no reason to end the others */
}

static int start(void *arg)
{
    errand *e = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope *scope;
    int rc = pirn_scope_open(&scope, 0);
    if (rc < 0)
        return rc;
    config.name = "query";
    config.stack_size = WITH_MARIADB_STACK;
    for (int i = 0; rc == 0 && i < e->n; i++)
        rc = pirn_scope_spawn_with(scope, &config, ask, e, PIRN_NEVER);
    if (rc < 0)
        pirn_scope_fail(scope, rc);
    return pirn_scope_close(scope, PIRN_NEVER);
}

static int parse(errand *e, int argc, char **argv)
{
    int c;
    char *colon;
    while ((c = getopt(argc, argv, "w:t:bu:d:")) != -1) {
        if (c == 'w')
            e->workers = atoi(optarg);
        else if (c == 't')
            e->seconds = atof(optarg);
        else if (c == 'b')
            e->blocking = true;
        else if (c == 'u')
            e->user = optarg;
        else if (c == 'd')
            e->database = optarg;
        else
            return -EINVAL;
    }
    if (argc - optind < 2 || e->seconds <= 0)
        return -EINVAL;
    e->host = argv[optind];
    e->queries = argv + optind + 1;
    e->n = argc - optind - 1;
    colon = *e->host == '/' ? NULL : strrchr(e->host, ':');
    if (colon != NULL) {
        *colon = '\0';
        e->port = (unsigned)atoi(colon + 1);
    }
    return 0;
}

int main(int argc, char **argv)
{
    errand e = {.seconds = 30, .port = 3306, .user = "root", .password = getenv("MYSQL_PWD")};
    pirn_config config = PIRN_CONFIG_INIT;
    int rc, status = 0;
    if (parse(&e, argc, argv) < 0) {
        fprintf(stderr, "usage: mariadb [-w WORKERS] [-t SECONDS] [-b] [-u USER] [-d DATABASE] "
                        "HOST[:PORT] QUERY...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (mysql_library_init(0, NULL, NULL) != 0)
        return 1;
    config.flags = PIRN_SIGINT_CANCELS;
    config.workers = e.workers;
    rc = pirn_run_with(&config, start, &e, &status);
    mysql_library_end();
    if (rc == 0)
        rc = status;
    if (rc < 0 && rc != -EINTR) /* SIGINT */
        fprintf(stderr, "mariadb: %s\n", strerror(-rc));
    return rc < 0 || atomic_load(&e.failed) != 0;
}
