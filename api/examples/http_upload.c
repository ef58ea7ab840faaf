/*
 * JSON in, JSON out, and uploads of any size, on 127.0.0.1: http_upload [PORT], 8000 if nothing is
 * said.
 *
 *     curl -d '{"numbers": [1, 2.5, 3]}' localhost:8000/sum       {"count": 3, "sum": 6.5}
 *     curl -T some.iso localhost:8000/upload                      {"bytes": ..., "lines": ...}
 *
 * /sum takes a small document, whole. /upload takes what it is given piece by piece, so that a
 * hundred of them need a hundred small buffers; it alone has no limit on its size. SIGINT or
 * SIGTERM ends the program: what runs may finish within ten seconds.
 */
#include <errno.h>
#include <jansson.h>
#include <pirn/http.h>
#include <stdio.h>
#include <string.h>

enum {
    DOCUMENT_MAX = 64 * 1024
};

/* Replies with a document, whose reference is given up. NULL: there was no memory for it. */
static int reply_json(pirn_http_reply *reply, int status, json_t *json)
{
    int rc = json != NULL ? pirn_http_reply_json(reply, status, json) : -ENOMEM;
    json_decref(json);
    return rc;
}

static int refuse(pirn_http_reply *reply, const char *why)
{
    return reply_json(reply, 400, json_pack("{s:s}", "error", why));
}

static int sum(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    json_t *document, *number;
    double total = 0;
    size_t i;
    (void)user;
    int rc = pirn_http_body_json(request, &document, DOCUMENT_MAX, PIRN_NEVER);
    if (rc == -EBADMSG)
        return refuse(reply, "this is no JSON");
    if (rc != 0)
        return rc; /* -EMSGSIZE becomes 413, ... */
    const json_t *numbers = json_object_get(document, "numbers");
    const int count = (int)json_array_size(numbers);
    bool sound = json_is_array(numbers);
    json_array_foreach(numbers, i, number)
    {
        sound = sound && json_is_number(number);
        total += json_number_value(number);
    }
    if (sound)
        rc = reply_json(reply, 200, json_pack("{s:i,s:f}", "count", count, "sum", total));
    else
        rc = refuse(reply, "\"numbers\" is to be an array of numbers");
    json_decref(document);
    return rc;
}

static int upload(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    char piece[16 * 1024];
    json_int_t bytes = 0, lines = 0;
    ssize_t n;
    (void)user;
    while ((n = pirn_http_body_read(request, piece, sizeof(piece), PIRN_NEVER)) > 0) {
        bytes += n;
        for (ssize_t i = 0; i < n; i++)
            lines += piece[i] == '\n';
    }
    if (n < 0)
        return (int)n; /* too slow: 408; gone: nobody is told */
    return reply_json(reply, 200, json_pack("{s:I,s:I}", "bytes", bytes, "lines", lines));
}

static int serve(pirn_http_server *server, const char *port)
{
    pirn_http_route_config uploads = PIRN_HTTP_ROUTE_CONFIG_INIT;
    uploads.max_body = -1;
    int rc = pirn_http_server_route(server, "POST", "/sum", sum, NULL, NULL);
    if (rc == 0)
        rc = pirn_http_server_route(server, "PUT", "/upload", upload, NULL, &uploads);
    if (rc == 0)
        rc = pirn_http_server_listen(server, "127.0.0.1", port, NULL, PIRN_NEVER);
    if (rc < 0)
        return rc;
    printf("listening on 127.0.0.1:%d\n", pirn_http_server_port(server));
    fflush(stdout);
    rc = pirn_http_server_serve(server);
    pirn_http_server_stop(server, pirn_after_s(10));
    return rc;
}

static int start(void *port)
{
    pirn_http_server_config config = PIRN_HTTP_SERVER_CONFIG_INIT;
    pirn_http_server *server;
    config.stack_size = 128 * 1024; /* of which upload's piece is a part */
    int rc = pirn_http_server_new(&server, &config);
    if (rc == 0) {
        rc = serve(server, port);
        pirn_http_server_release(server);
    }
    return rc;
}

int main(int argc, char **argv)
{
    pirn_config config = PIRN_CONFIG_INIT;
    char *port = argc > 1 ? argv[1] : "8000";
    int status = 0;
    config.flags = PIRN_SIGINT_CANCELS | PIRN_SIGTERM_CANCELS;
    int rc = pirn_run_with(&config, start, port, &status);
    if (rc == 0)
        rc = status;
    if (rc == -EINTR) /* a signal, the usual end */
        return 0;
    if (rc < 0)
        fprintf(stderr, "http_upload: %s\n", strerror(-rc));
    return rc < 0;
}
