/*
 * A small HTTP server on 127.0.0.1: http_hello [--port N] [--workers W]. GET / says hello to the
 * world, GET /NAME to that one. Also what the benchmarks load. SIGINT or SIGTERM ends it,
 * gracefully.
 */
#include <errno.h>
#include <getopt.h>
#include <pirn/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)user;
    return pirn_http_reply_bytes(reply, 200, "text/plain", "Hello, World!", 13);
}

static int hello_name(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char text[256];
    int n = snprintf(text, sizeof text, "Hello, %s!", pirn_http_param(request, "name"));
    (void)user;
    if ((size_t)n >= sizeof text)
        return -EINVAL; /* the client's mistake: 400 */
    return pirn_http_reply_text(reply, 200, text);
}

static int serve(pirn_http_server *server, const char *port)
{
    int rc = pirn_http_server_route(server, "GET", "/", hello, NULL, NULL);
    if (rc == 0)
        rc = pirn_http_server_route(server, "GET", "/{name}", hello_name, NULL, NULL);
    if (rc == 0)
        rc = pirn_http_server_listen(server, "127.0.0.1", port, NULL, PIRN_NEVER);
    if (rc < 0)
        return rc;
    printf("listening on 127.0.0.1:%d\n", pirn_http_server_port(server));
    fflush(stdout);
    rc = pirn_http_server_serve(server);
    pirn_http_server_stop(server, pirn_after_s(10));
    return rc == -ECANCELED ? 0 : rc; /* by a signal */
}

static int start(void *arg)
{
    pirn_http_server *server;
    int rc = pirn_http_server_new(&server, NULL);
    if (rc == 0) {
        rc = serve(server, arg);
        pirn_http_server_release(server);
    }
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {NULL, 0, NULL, 0}};
    pirn_config config = PIRN_CONFIG_INIT;
    char *port = "8000";
    int c, rc, status = 0;

    while ((c = getopt_long(argc, argv, "p:w:", known, NULL)) != -1) {
        if (c == 'p') {
            port = optarg;
        } else if (c == 'w') {
            config.workers = atoi(optarg);
        } else {
            fprintf(stderr, "usage: http_hello [--port N] [--workers W]\n");
            return 2;
        }
    }
    config.flags = PIRN_SIGINT_CANCELS | PIRN_SIGTERM_CANCELS;
    rc = pirn_run_with(&config, start, port, &status);
    if (rc == 0)
        rc = status;
    if (rc < 0 && rc != -EINTR) { /* -EINTR: a signal, the usual end */
        fprintf(stderr, "http_hello: %s\n", strerror(-rc));
        return 1;
    }
    return 0;
}
