/*
 * A scope around a pretended database: it takes a second to enter, and a second to leave.
 *
 * What leaves it is registered with pirn_defer when it has been entered, and runs at
 * pirn_defer_end: it may suspend, is told how it went inside, and a cancel of the task does not cut
 * it short. (S201 uses a C scope, which needs no call at its end, but hears of no status.) Python's
 * listing loses the connection: it stores what the sleep returned.
 */
#include <errno.h>

#include "seeds.h"

typedef struct connection {
    bool open;
} connection;

/* (__aexit__) */
static void connection_exit(void *arg, int status)
{
    connection *conn = arg;
    (void)status; /* an exception would be seen here */
    pirn_sleep(after(1));
    conn->open = false;
}

/* (__aenter__) */
static int connection_enter(connection *conn)
{
    int err = pirn_sleep(after(1));
    if (err < 0)
        return err;
    conn->open = true;
    return pirn_defer(connection_exit, conn);
}

static int do_something(const connection *conn)
{
    if (!conn->open)
        return -ENOTCONN;
    printf("queries and updates are pretended, and their result returned ...\n");
    return 0;
}

static int func(void *arg)
{
    connection conn = {false};
    (void)arg;
    pirn_defer_mark scope = pirn_defer_begin();
    int rc = connection_enter(&conn);
    if (rc == 0)
        rc = do_something(&conn);
    rc = pirn_defer_end(scope, rc);
    printf("the connection is %s\n", conn.open ? "open" : "closed");
    return rc;
}

int main(void)
{
    return report(pirn_run(func, NULL));
}
