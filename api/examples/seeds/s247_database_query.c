/*
 * One query: s247_database_query [HOST [PORT]], by libmariadb and with_mariadb.h. In the tutorial
 * the fetch is not awaited, the function is not called, and the column is a table's; here the rows
 * are printed.
 */
#include "../with_mariadb.h"
#include "seeds.h"

typedef struct place {
    const char *host;
    unsigned port;
} place;

static int execute(void *arg)
{
    const place *p = arg;
    MYSQL *mysql = mysql_init(NULL);
    MYSQL_RES *result;
    MYSQL_ROW row;
    int rc = with_mariadb_connect(mysql, p->host, p->port, "root", "root", "test", after(10));
    if (rc == 0)
        rc = with_mariadb_query(mysql, "SELECT host, user FROM user", after(10));
    if (rc == 0)
        rc = with_mariadb_result(mysql, &result, after(10));
    if (rc == 0) {
        while ((row = mysql_fetch_row(result)) != NULL)
            printf("(%s, %s)\n", row[0], row[1]);
        mysql_free_result(result);
    }
    if (rc == -EREMOTEIO)
        fprintf(stderr, "%s\n", mysql_error(mysql));
    with_mariadb_close(mysql, after(1));
    return rc;
}

static int start(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *task;
    int rc, status = 0;
    config.stack_size = WITH_MARIADB_STACK;
    must(pirn_spawn_with(&task, &config, execute, arg));
    rc = pirn_join(task, &status, PIRN_NEVER);
    return rc < 0 ? rc : status;
}

int main(int argc, char **argv)
{
    place p = {argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? (unsigned)atoi(argv[2]) : 3306};
    mysql_library_init(0, NULL, NULL);
    int rc = pirn_run(start, &p);
    mysql_library_end();
    return report(rc);
}
