/* A server: its limits, its routes, its handles, and where it listens. */
#include "api/http/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void set_time(pirn_span *time, int64_t ms)
{
    if (time->ns == 0)
        time->ns = ms * 1000000;
}

/* 0 stands for the default; what cannot be is refused. */
static int complete(pirn_http_server_config *config)
{
    if (config->max_head > 65536 || config->max_headers < 0 || config->max_body < -1 ||
        config->max_connections < 0 || config->body_rate < -1 || config->head_time.ns < 0 ||
        config->body_time.ns < 0 || config->idle_time.ns < 0 || config->write_time.ns < 0 ||
        config->cancel_time.ns < 0 || config->grace.ns < 0)
        return -EINVAL;
    if (config->max_head == 0)
        config->max_head = 16 * 1024;
    if (config->max_target == 0)
        config->max_target = 8 * 1024;
    if (config->max_target > config->max_head) /* it is part of that */
        config->max_target = config->max_head;
    if (config->max_headers == 0)
        config->max_headers = 100;
    if (config->max_body == 0)
        config->max_body = 1024 * 1024;
    if (config->max_connections == 0)
        config->max_connections = 10000;
    if (config->body_rate == 0)
        config->body_rate = 240;
    set_time(&config->head_time, 10000);
    set_time(&config->body_time, 5000);
    set_time(&config->idle_time, 60000);
    set_time(&config->write_time, 30000);
    set_time(&config->cancel_time, 50);
    set_time(&config->grace, 5000);
    return 0;
}

/* No connection is left, and nobody has a handle. */
static void destroy(void *arg)
{
    struct pirn_http_server *server = arg;
    pirn_http_router_free(&server->router);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

static int serve_connection(pirn_stream *stream, void *server)
{
    pirn_http_connection_run(server, stream, true); /* -ENOMEM: it is closed */
    return 0;
}

static int make_accepts(struct pirn_http_server *server)
{
    pirn_server_config config = PIRN_SERVER_CONFIG_INIT;
    config.limit = server->config.max_connections;
    config.refuse = server->config.refuse;
    config.linger = server->config.write_time;
    config.stack_size = server->config.stack_size;
    config.drop = destroy;
    return pirn_server_new(&server->accepts, serve_connection, server, &config);
}

int pirn_http_server_new(pirn_http_server **ret_server, const pirn_http_server_config *config)
{
    if (ret_server == NULL || (config != NULL && config->size != sizeof(*config)))
        return -EINVAL;
    pirn_http_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return -ENOMEM;
    if (config != NULL)
        server->config = *config;
    int err = complete(&server->config);
    if (err == 0)
        err = make_accepts(server);
    if (err < 0) {
        free(server);
        return err;
    }
    server->limits.head.head = server->config.max_head;
    server->limits.head.target = server->config.max_target;
    server->limits.head.headers = server->config.max_headers;
    server->limits.body = -1; /* it depends on the route */
    atomic_init(&server->handles, 1);
    pthread_mutex_init(&server->lock, NULL);
    *ret_server = server;
    return 0;
}

pirn_http_server *pirn_http_server_retain(pirn_http_server *server)
{
    if (server != NULL)
        atomic_fetch_add_explicit(&server->handles, 1, memory_order_relaxed);
    return server;
}

void pirn_http_server_release(pirn_http_server *server)
{
    /* acq_rel: everybody's last use comes before the end */
    if (server == NULL || atomic_fetch_sub_explicit(&server->handles, 1, memory_order_acq_rel) != 1)
        return;
    pirn_http_server_ends(server, false);
    pirn_server_release(server->accepts);
}

int pirn_http_server_route(pirn_http_server *server, const char *method, const char *pattern,
                           pirn_http_handler handler, void *user,
                           const pirn_http_route_config *config)
{
    static const pirn_http_route_config plain = PIRN_HTTP_ROUTE_CONFIG_INIT;
    if (config == NULL)
        config = &plain;
    if (server == NULL || method == NULL || pattern == NULL || handler == NULL ||
        config->size != sizeof(*config) || config->max_body < -1 ||
        (config->flags & ~(unsigned)PIRN_HTTP_BLOCKING) != 0)
        return -EINVAL;
    int64_t max_body = config->max_body != 0 ? config->max_body : server->config.max_body;
    pthread_mutex_lock(&server->lock);
    int err = server->fixed ? -EBUSY
                            : pirn_http_router_add(&server->router, method, pattern, handler, user,
                                                   config->flags, max_body);
    pthread_mutex_unlock(&server->lock);
    return err;
}

/* ---- Listening --------------------------------------------------------------------------- */

/* No route is added from here on. */
static int fix(pirn_http_server *server, int err)
{
    if (err == 0) {
        pthread_mutex_lock(&server->lock);
        server->fixed = true;
        pthread_mutex_unlock(&server->lock);
    }
    return err;
}

int pirn_http_server_listen(pirn_http_server *server, const char *host, const char *service,
                            const pirn_listen_config *config, pirn_time deadline)
{
    if (server == NULL)
        return -EINVAL;
    return fix(server, pirn_server_listen(server->accepts, host, service, config, deadline));
}

int pirn_http_server_listen_unix(pirn_http_server *server, const char *path,
                                 const pirn_listen_config *config, pirn_time deadline)
{
    if (server == NULL)
        return -EINVAL;
    return fix(server, pirn_server_listen_unix(server->accepts, path, config, deadline));
}

int pirn_http_server_add(pirn_http_server *server, int fd)
{
    return server != NULL ? fix(server, pirn_server_add(server->accepts, fd)) : -EINVAL;
}

int pirn_http_server_address(pirn_http_server *server, size_t i, pirn_address *ret_address)
{
    return server != NULL ? pirn_server_address(server->accepts, i, ret_address) : -EINVAL;
}

int pirn_http_server_port(pirn_http_server *server)
{
    return server != NULL ? pirn_server_port(server->accepts) : -EINVAL;
}

void pirn_http_report(struct pirn_http_server *server, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (server->config.report != NULL)
        server->config.report(server->config.report_user, line);
    else
        fprintf(stderr, "%s\n", line);
}
