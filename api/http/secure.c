/*
 * HTTPS: the hooks of a server and of a client that put TLS under their connections. Here and
 * nowhere else libpirn-http knows of libpirn-tls.
 */
#include <errno.h>
#include <pirn/http.h>
#include <stdio.h>
#include <string.h>

#ifdef PIRN_HTTP_TLS

#include <pirn/tls.h>

/* Has it been agreed on another protocol than HTTP/1.1, a context's own? */
static bool is_other(const pirn_stream *stream)
{
    const char *protocol = pirn_tls_alpn(stream);
    return protocol != NULL && protocol[0] != '\0' && strncmp(protocol, "http/1.", 7) != 0;
}

int pirn_http_open_tls(void *context, pirn_stream **ret_stream, pirn_stream *below,
                       pirn_time deadline)
{
    pirn_stream *stream;
    int rc = pirn_tls_server(&stream, below, context, NULL, deadline);
    if (rc == 0 && is_other(stream)) {
        pirn_stream_abort(stream);
        pirn_stream_retain(below); /* it goes with the stream, and is to be the caller's */
        pirn_stream_release(stream);
        return -EPROTO;
    }
    if (rc == 0)
        *ret_stream = stream;
    return rc;
}

/* below is given up if it fails. */
static int finish(int rc, pirn_stream *below, pirn_stream *stream, pirn_stream **ret_stream)
{
    if (rc != 0) {
        pirn_stream_abort(below);
        pirn_stream_release(below);
        return rc;
    }
    if (is_other(stream)) {
        pirn_stream_abort(stream);
        pirn_stream_release(stream);
        return -EPROTO;
    }
    *ret_stream = stream;
    return 0;
}

int pirn_http_connect_tls(void *context, pirn_stream **ret_stream, const char *scheme,
                          const char *host, uint16_t port, pirn_time deadline)
{
    char service[8];
    pirn_stream *below, *stream = NULL;
    snprintf(service, sizeof(service), "%d", port);
    int rc = pirn_stream_connect(&below, host, service, NULL, NULL, deadline);
    if (rc != 0)
        return rc;
    if (strcmp(scheme, "https") != 0) {
        *ret_stream = below;
        return 0;
    }
    rc = pirn_tls_client(&stream, below, context, host, NULL, deadline);
    return finish(rc, below, stream, ret_stream);
}

#else

int pirn_http_open_tls(void *context, pirn_stream **ret_stream, pirn_stream *below,
                       pirn_time deadline)
{
    (void)context, (void)ret_stream, (void)below, (void)deadline;
    return -EPROTONOSUPPORT;
}

int pirn_http_connect_tls(void *context, pirn_stream **ret_stream, const char *scheme,
                          const char *host, uint16_t port, pirn_time deadline)
{
    char service[8];
    (void)context;
    if (strcmp(scheme, "https") == 0)
        return -EPROTONOSUPPORT;
    snprintf(service, sizeof(service), "%d", port);
    return pirn_stream_connect(ret_stream, host, service, NULL, NULL, deadline);
}

#endif
