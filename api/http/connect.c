/* A client's new connection: by name over TCP, or as the program makes them. */
#include "api/http/client.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int pirn_http_connect(pirn_http_client *client, const struct host *host, pirn_stream **ret_stream,
                      pirn_time deadline)
{
    char service[8];
    if (client->config.connect != NULL) {
        pirn_stream *stream = NULL;
        int err = client->config.connect(client->config.connect_user, &stream,
                                         host->secure ? "https" : "http", host->name, host->port,
                                         deadline);
        *ret_stream = stream;
        return err >= 0 && stream == NULL ? -EINVAL : err; /* it returned no stream */
    }
    if (host->secure)
        return -EPROTONOSUPPORT;
    snprintf(service, sizeof(service), "%d", host->port);
    int fd = pirn_connect_host(host->name, service, NULL, deadline);
    if (fd < 0)
        return fd;
    int err = pirn_stream_new(ret_stream, fd, NULL);
    if (err < 0)
        close(fd);
    return err;
}
