/*
 * The query of S247 on two hosts at once, one of which does not answer: s248_two_databases [HOST
 * PORT HOST PORT]. The rows of the one come when they come; the other's error does, after ten
 * seconds or sooner.
 */
#include "../with_mariadb.h"
#include "seeds.h"

typedef struct place {
    const char *host, *password;
    unsigned port;
} place;

static int execute(void *arg)
{
    const place *p = arg;
    MYSQL *mysql = mysql_init(NULL);
    MYSQL_RES *result;
    MYSQL_ROW row;
    pirn_time deadline = after(10);
    int rc = with_mariadb_connect(mysql, p->host, p->port, "root", p->password, "test", deadline);
    if (rc == 0)
        rc = with_mariadb_query(mysql, "SELECT host, user FROM user", deadline);
    if (rc == 0)
        rc = with_mariadb_result(mysql, &result, deadline);
    if (rc == 0) {
        while ((row = mysql_fetch_row(result)) != NULL)
            printf("(%s, %s)\n", row[0], row[1]);
        mysql_free_result(result);
    } else {
        printf("%s: %s\n", p->host, rc == -EREMOTEIO ? mysql_error(mysql) : strerror(-rc));
    }
    with_mariadb_close(mysql, after(1));
    return rc;
}

static int start(void *arg)
{
    place *places = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *tasks[2];
    config.stack_size = WITH_MARIADB_STACK;
    for (int i = 0; i < 2; i++)
        must(pirn_spawn_with(&tasks[i], &config, execute, &places[i]));
    int rc = pirn_wait(tasks, 2, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER);
    for (int i = 0; i < 2; i++) {
        (void)pirn_status(tasks[i]); /* it has said so itself */
        pirn_release(tasks[i]);
    }
    return rc;
}

int main(int argc, char **argv)
{
    place places[2] = {{"127.0.0.1", "root", 3306}, {"40.0.0.1", "root", 3306}};
    for (int i = 0; i < 2 && argc == 5; i++) {
        places[i].host = argv[1 + 2 * i];
        places[i].port = (unsigned)atoi(argv[2 + 2 * i]);
    }
    mysql_library_init(0, NULL, NULL);
    int rc = pirn_run(start, places);
    mysql_library_end();
    return report(rc);
}
