/* A server: its limits, its routes, where it listens. */
#include "api/http/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set_time(pirn_time *time, int64_t ms)
{
    if (time->ns == 0)
        time->ns = ms * 1000000;
}

/* 0 stands for the default; what cannot be is refused. */
static int complete(pirn_http_config *config)
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
    set_time(&config->grace, 10000);
    return 0;
}

int pirn_http_server_new(pirn_http_server **ret_server, const pirn_http_config *config)
{
    if (ret_server == NULL || (config != NULL && config->size != sizeof(*config)))
        return -EINVAL;
    pirn_http_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return -ENOMEM;
    if (config != NULL)
        server->config = *config;
    if (complete(&server->config) < 0) {
        free(server);
        return -EINVAL;
    }
    server->limits.head.head = server->config.max_head;
    server->limits.head.target = server->config.max_target;
    server->limits.head.headers = server->config.max_headers;
    server->limits.body = server->config.max_body;
    server->listener = -1;
    server->grace = server->config.grace;
    pthread_mutex_init(&server->lock, NULL);
    *ret_server = server;
    return 0;
}

void pirn_http_server_free(pirn_http_server *server)
{
    if (server == NULL)
        return;
    if (server->listener >= 0)
        close(server->listener);
    pirn_http_router_free(&server->router);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

int pirn_http_route(pirn_http_server *server, const char *method, const char *pattern,
                    pirn_http_handler handler, void *user, unsigned flags)
{
    if (server == NULL || method == NULL || pattern == NULL || handler == NULL ||
        (flags & ~(unsigned)PIRN_HTTP_BLOCKING) != 0)
        return -EINVAL;
    if (server->serving)
        return -EBUSY;
    return pirn_http_router_add(&server->router, method, pattern, handler, user, flags);
}

/* ---- Listening --------------------------------------------------------------------------- */

int pirn_http_listen(pirn_http_server *server, const char *address, uint16_t port)
{
    pirn_resolve_config numbers = PIRN_RESOLVE_INIT;
    pirn_listen_config config = PIRN_LISTEN_INIT;
    char service[8];
    if (server == NULL)
        return -EINVAL;
    if (server->listener >= 0)
        return -EALREADY;
    numbers.flags = PIRN_RESOLVE_NUMERIC | PIRN_RESOLVE_PASSIVE;
    config.resolve = &numbers;
    snprintf(service, sizeof(service), "%d", port);
    int fd = pirn_listen(address, service, &config, PIRN_NEVER);
    if (fd < 0)
        return fd == -ENOENT ? -EINVAL : fd;
    server->listener = fd;
    server->port = pirn_local_port(fd);
    return server->port;
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
