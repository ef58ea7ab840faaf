/*
 * What the tutorials download from, in the place of web sites: site [PORT], 8000 if nothing is
 * said. Every page takes its time, a second if nothing is said:
 *
 *   /item/{n}      a page that says its number
 *   /later/{n}     the same, after a quarter of a second for each number
 *   anything else  a picture: the path, so often that it fills 20,000 bytes
 */
#include "seeds.h"

#include <errno.h>
#include <pirn/http.h>

enum {
    PICTURE = 20000
};

static int item(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    const char *n = pirn_http_param(request, "n");
    char page[64];
    int err = pirn_sleep(after(user != NULL ? 0.25 * (atoi(n) + 1) : 1));
    if (err < 0)
        return err;
    snprintf(page, sizeof(page), "<html>item %.20s</html>", n);
    return pirn_http_reply_bytes(reply, 200, "text/html", page, strlen(page));
}

static int picture(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    const char *path = pirn_http_path(request);
    char bytes[PICTURE];
    int err = pirn_sleep(after(1));
    (void)user;
    if (err < 0)
        return err;
    for (size_t i = 0, n = strlen(path); i < sizeof(bytes); i++)
        bytes[i] = path[i % n];
    return pirn_http_reply_bytes(reply, 200, "image/gif", bytes, sizeof(bytes));
}

static int start(void *arg)
{
    pirn_http_server *server;
    must(pirn_http_server_new(&server, NULL));
    must(pirn_http_server_route(server, "GET", "/item/{n}", item, NULL, NULL));
    must(pirn_http_server_route(server, "GET", "/later/{n}", item, server, NULL));
    must(pirn_http_server_route(server, "GET", "/{picture...}", picture, NULL, NULL));
    must(pirn_http_server_listen(server, "127.0.0.1", arg, NULL, PIRN_NEVER));
    printf("listening on 127.0.0.1:%d\n", pirn_http_server_port(server));
    int rc = pirn_http_server_serve(server);
    pirn_http_server_stop(server, pirn_after_s(10));
    pirn_http_server_release(server);
    return rc == -ECANCELED ? 0 : rc;
}

int main(int argc, char **argv)
{
    pirn_config config = PIRN_CONFIG_INIT;
    char *port = argc > 1 ? argv[1] : "8000";
    int status = 0;
    config.flags = PIRN_SIGINT_CANCELS;
    int rc = pirn_run_with(&config, start, port, &status);
    if (rc == 0)
        rc = status;
    return rc == -EINTR ? 0 : report(rc);
}
