/*
 * Queries by libpq: postgres [-w WORKERS] [-t SECONDS] CONNINFO QUERY... asks all queries at once,
 * each over a connection of its own and within so many seconds (30), and prints the rows of each as
 * they come, with its number before them. A query that takes too long is stopped at the server,
 * too; so does SIGINT.
 *
 * with_postgres.h has the glue.
 */
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "with_postgres.h"

typedef struct errand {
    const char *conninfo;
    char **queries;
    int n, workers;
    double seconds;
    atomic_int next, failed;
} errand;

/* The whole answer in one printf, so that those of others do not come in between. */
static void print(int number, const PGresult *result)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return;
    for (int row = 0; row < PQntuples(result); row++) {
        fprintf(out, "%d: ", number);
        for (int column = 0; column < PQnfields(result); column++)
            fprintf(out, "%s%s", column > 0 ? "|" : "", PQgetvalue(result, row, column));
        fputc('\n', out);
    }
    fclose(out);
    printf("%s", text);
    free(text);
}

/* How libpq ends its messages is of no use in a line. */
static void complain(errand *e, int number, const char *why)
{
    printf("%d: failed: %.*s\n", number, (int)strcspn(why, "\n"), why);
    atomic_fetch_add(&e->failed, 1);
}

static int ask(void *arg)
{
    errand *e = arg;
    int i = atomic_fetch_add(&e->next, 1);
    pirn_time deadline = pirn_after_s(e->seconds);
    PGresult *result = NULL;
    PGconn *conn;
    int rc = with_postgres_connect(&conn, e->conninfo, deadline);
    if (rc != 0) {
        complain(e, i + 1, strerror(-rc));
        return 0;
    }
    if (PQstatus(conn) != CONNECTION_OK || !PQsendQuery(conn, e->queries[i]))
        complain(e, i + 1, PQerrorMessage(conn));
    else
        while ((rc = with_postgres_result(conn, &result, deadline)) == 0 && result != NULL) {
            ExecStatusType kind = PQresultStatus(result);
            if (kind == PGRES_TUPLES_OK)
                print(i + 1, result);
            else if (kind != PGRES_COMMAND_OK)
                complain(e, i + 1, PQresultErrorMessage(result));
            PQclear(result);
            if (kind == PGRES_COPY_IN || kind == PGRES_COPY_OUT)
                break; /* not a thing for this program */
        }
    if (rc < 0) {
        complain(e, i + 1, strerror(-rc));
        with_postgres_stop(conn, pirn_after_s(5)); /* and it could be asked something else */
    }
    PQfinish(conn);
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
    config.stack_size = WITH_POSTGRES_STACK;
    for (int i = 0; rc == 0 && i < e->n; i++)
        rc = pirn_scope_spawn_with(scope, &config, ask, e, PIRN_NEVER);
    if (rc < 0)
        pirn_scope_fail(scope, rc);
    return pirn_scope_close(scope, PIRN_NEVER);
}

static int parse(errand *e, int argc, char **argv)
{
    int c;
    while ((c = getopt(argc, argv, "w:t:")) != -1) {
        if (c == 'w')
            e->workers = atoi(optarg);
        else if (c == 't')
            e->seconds = atof(optarg);
        else
            return -EINVAL;
    }
    if (argc - optind < 2 || e->seconds <= 0)
        return -EINVAL;
    e->conninfo = argv[optind];
    e->queries = argv + optind + 1;
    e->n = argc - optind - 1;
    return 0;
}

int main(int argc, char **argv)
{
    errand e = {.seconds = 30};
    pirn_config config = PIRN_CONFIG_INIT;
    int rc, status = 0;
    if (parse(&e, argc, argv) < 0) {
        fprintf(stderr, "usage: postgres [-w WORKERS] [-t SECONDS] CONNINFO QUERY...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    config.flags = PIRN_SIGINT_CANCELS;
    config.workers = e.workers;
    rc = pirn_run_with(&config, start, &e, &status);
    if (rc == 0)
        rc = status;
    if (rc < 0 && rc != -EINTR) /* SIGINT */
        fprintf(stderr, "postgres: %s\n", strerror(-rc));
    return rc < 0 || atomic_load(&e.failed) != 0;
}
