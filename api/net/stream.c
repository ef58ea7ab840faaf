/*
 * Streams over new connections.
 */
#include <errno.h>
#include <pirn.h>

#include "runtime/debug.h"

static int wrap(pirn_stream **ret_stream, int fd, const pirn_stream_config *config)
{
    int rc = fd >= 0 ? pirn_stream_new(ret_stream, fd, config) : fd;
    if (fd >= 0 && rc != 0)
        pirn_close(fd);
    return rc;
}

int pirn_stream_connect(pirn_stream **ret_stream, const char *host, const char *service,
                        const pirn_connect_config *connect_config,
                        const pirn_stream_config *stream_config, pirn_time deadline)
{
    if (ret_stream == NULL)
        return pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
    return wrap(ret_stream, pirn_connect_host(host, service, connect_config, deadline),
                stream_config);
}

int pirn_stream_connect_unix(pirn_stream **ret_stream, const char *path,
                             const pirn_stream_config *config, pirn_time deadline)
{
    return ret_stream != NULL ? wrap(ret_stream, pirn_connect_unix(path, deadline), config)
                              : pirn_misuse(__func__, -EINVAL, MISUSE_NULL);
}
