/*
 * TCP connections through HTTP, and so through proxies that speak nothing else. At the far end, in
 * front of HOST:PORT:
 *
 *     http_tunnel --serve HOST:PORT [--port N]
 *
 * and here, where each connection to --port goes to that:
 *
 *     http_tunnel --to http://FAR:N/ [--port N]
 *
 * Each is a request that switches to the protocol "tcp". SIGINT or SIGTERM ends it, gracefully.
 */
#include <errno.h>
#include <getopt.h>
#include <pirn/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_S = 10,
    STOP_S = 10
};

struct tunnel {
    const char *port;
    char *host; /* of what is served, with its service cut off it */
    const char *service;
    const char *url; /* of the far end */
    pirn_http_client *client;
};

static struct tunnel tunnel = {.port = "0"};

/* ---- From one stream to the other --------------------------------------------------------- */

struct way {
    pirn_stream *to, *from;
};

static int carry(void *arg)
{
    struct way *way = arg;
    int64_t n = pirn_stream_copy(way->to, way->from, INT64_MAX, NULL, PIRN_NEVER);
    return n < 0 ? (int)n : pirn_stream_end(way->to, PIRN_NEVER);
}

/* Both ways, until both have ended, or one has failed. */
static int relay(pirn_stream *a, pirn_stream *b)
{
    struct way ways[2] = {{a, b}, {b, a}};
    pirn_scope *scope;
    int rc = pirn_scope_open(&scope, 0);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = pirn_scope_spawn(scope, carry, &ways[i], PIRN_NEVER);
    if (rc < 0)
        pirn_scope_fail(scope, rc);
    return pirn_scope_close(scope, PIRN_NEVER);
}

/* ---- The far end -------------------------------------------------------------------------- */

static int serve_one(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    pirn_stream *client, *target;
    (void)request, (void)user;
    int rc = pirn_stream_connect(&target, tunnel.host, tunnel.service, NULL, NULL,
                                 pirn_after_s(CONNECT_S));
    if (rc == -ECANCELED)
        return rc;
    if (rc < 0)
        return pirn_http_reply_text(reply, 502, strerror(-rc));
    rc = pirn_http_reply_upgrade(reply, "tcp", &client, pirn_after_s(CONNECT_S));
    if (rc == 0)
        rc = relay(client, target);
    pirn_stream_abort(target);
    pirn_stream_release(target);
    return rc;
}

static int serve(void)
{
    pirn_http_server *server;
    int rc = pirn_http_server_new(&server, NULL);
    if (rc < 0)
        return rc;
    rc = pirn_http_server_route(server, "GET", "/", serve_one, NULL, NULL);
    if (rc == 0)
        rc = pirn_http_server_listen(server, "127.0.0.1", tunnel.port, NULL, PIRN_NEVER);
    if (rc == 0) {
        printf("listening on 127.0.0.1:%d\n", pirn_http_server_port(server));
        fflush(stdout);
        rc = pirn_http_server_serve(server);
        pirn_http_server_stop(server, pirn_after_s(STOP_S));
    }
    pirn_http_server_release(server);
    return rc;
}

/* ---- The near one ------------------------------------------------------------------------- */

static int carry_one(pirn_stream *stream, void *user)
{
    pirn_http_call call = PIRN_HTTP_CALL_INIT;
    pirn_http_response *response;
    (void)user;
    call.url = tunnel.url;
    call.upgrade = "tcp";
    int rc = pirn_http_send(tunnel.client, &call, &response, pirn_after_s(CONNECT_S));
    if (rc < 0)
        return rc;
    pirn_stream *far = pirn_http_response_stream(response);
    if (far != NULL) {
        rc = relay(stream, far);
    } else {
        fprintf(stderr, "http_tunnel: the far end said %d\n", pirn_http_response_status(response));
        rc = -ECONNREFUSED;
    }
    pirn_http_response_free(response);
    return rc;
}

static int forward(void)
{
    pirn_server *server;
    int rc = pirn_http_client_new(&tunnel.client, NULL);
    if (rc < 0)
        return rc;
    rc = pirn_server_new(&server, carry_one, NULL, NULL);
    if (rc == 0) {
        rc = pirn_server_listen(server, "127.0.0.1", tunnel.port, NULL, PIRN_NEVER);
        if (rc == 0) {
            printf("listening on 127.0.0.1:%d\n", pirn_server_port(server));
            fflush(stdout);
            rc = pirn_server_serve(server);
            pirn_server_stop(server, pirn_after_s(STOP_S));
        }
        pirn_server_release(server);
    }
    pirn_http_client_free(tunnel.client);
    return rc;
}

static int start(void *arg)
{
    (void)arg;
    int rc = tunnel.url != NULL ? forward() : serve();
    return rc == -ECANCELED ? 0 : rc; /* by a signal */
}

static int usage(void)
{
    fprintf(stderr, "usage: http_tunnel --serve HOST:PORT [--port N]\n"
                    "       http_tunnel --to http://HOST:PORT/ [--port N]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"serve", required_argument, NULL, 's'},
                                          {"to", required_argument, NULL, 't'},
                                          {"port", required_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    pirn_config config = PIRN_CONFIG_INIT;
    int c, rc, status = 0;

    while ((c = getopt_long(argc, argv, "s:t:p:", known, NULL)) != -1) {
        if (c == 's')
            tunnel.host = optarg;
        else if (c == 't')
            tunnel.url = optarg;
        else if (c == 'p')
            tunnel.port = optarg;
        else
            return usage();
    }
    char *colon = tunnel.host != NULL ? strrchr(tunnel.host, ':') : NULL;
    if ((tunnel.host == NULL) == (tunnel.url == NULL) || (tunnel.host != NULL && colon == NULL))
        return usage();
    if (colon != NULL) {
        *colon = '\0';
        tunnel.service = colon + 1;
    }
    config.flags = PIRN_SIGINT_CANCELS | PIRN_SIGTERM_CANCELS;
    rc = pirn_run_with(&config, start, NULL, &status);
    if (rc == 0)
        rc = status;
    if (rc < 0 && rc != -EINTR) { /* -EINTR: a signal, the usual end */
        fprintf(stderr, "http_tunnel: %s\n", strerror(-rc));
        return 1;
    }
    return 0;
}
