/*
 * A web server with two routes: s260_web_server [PORT], 8000 if nothing is said. SIGINT ends it,
 * once the running requests have their replies.
 *
 * The second route blocks its thread, as in Python. There FastAPI gives a function that is not
 * async to a pool of threads by itself; here the route says so.
 */
#include "seeds.h"

#include <errno.h>
#include <jansson.h>
#include <pirn/http.h>

static int read_root(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    json_t *json = json_pack("{s:s}", "Hello", "World");
    int rc = pirn_http_reply_json(reply, 200, json);
    (void)request;
    (void)user;
    json_decref(json);
    return rc;
}

static int timeit(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    int seconds = atoi(pirn_http_param(request, "seconds"));
    (void)user;
    block(seconds);
    json_t *json = json_sprintf("sleep seconds: %d", seconds);
    int rc = pirn_http_reply_json(reply, 200, json);
    json_decref(json);
    return rc;
}

static int start(void *arg)
{
    pirn_http_server *app;
    pirn_http_route_config blocking = PIRN_HTTP_ROUTE_CONFIG_INIT;
    blocking.flags = PIRN_HTTP_BLOCKING;
    must(pirn_http_server_new(&app, NULL));
    must(pirn_http_server_route(app, "GET", "/", read_root, NULL, NULL));
    must(pirn_http_server_route(app, "GET", "/timeit/{seconds}", timeit, NULL, &blocking));
    must(pirn_http_server_listen(app, "127.0.0.1", arg, NULL, PIRN_NEVER));
    printf("listening on 127.0.0.1:%d\n", pirn_http_server_port(app));
    int rc = pirn_http_server_serve(app);
    pirn_http_server_stop(app, pirn_after_s(10));
    pirn_http_server_release(app);
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
