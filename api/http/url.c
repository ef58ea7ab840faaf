/*
 * URLs, as the client takes them: absolute, http or https, as they go over the wire. Nothing is
 * escaped or normalised here; what has to be escaped (spaces, what is not ASCII) is refused.
 *
 * Not by the parser library: http_parser has a function for it, llhttp none any more.
 */
#include "api/http/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int split_host(const char *begin, const char *end, struct url *url, const char **ret_rest)
{
    const char *stop;
    if (begin < end && *begin == '[') {
        begin++;
        stop = memchr(begin, ']', (size_t)(end - begin));
        if (stop == NULL)
            return -EINVAL;
        url->literal = true;
        *ret_rest = stop + 1;
    } else {
        stop = memchr(begin, ':', (size_t)(end - begin));
        if (stop == NULL)
            stop = end;
        *ret_rest = stop;
    }
    size_t n = (size_t)(stop - begin);
    if (n == 0 || n >= sizeof(url->host))
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)begin[i];
        bool fits = url->literal ? isxdigit(c) || c == ':' || c == '.'
                                 : isalnum(c) || strchr("-._~!$&'()*+,;=", c) != NULL;
        if (c >= 0x80 || c == '\0' || !fits)
            return -EINVAL;
        url->host[i] = (char)tolower(c);
    }
    url->host[n] = '\0';
    struct in6_addr address;
    return !url->literal || inet_pton(AF_INET6, url->host, &address) == 1 ? 0 : -EINVAL;
}

static int split_port(const char *begin, const char *end, uint16_t *ret_port)
{
    long port = 0;
    if (begin == end)
        return 0;
    if (*begin++ != ':')
        return -EINVAL;
    if (begin == end)
        return 0; /* "host:" has the usual port */
    for (; begin < end; begin++) {
        if (*begin < '0' || *begin > '9')
            return -EINVAL;
        port = port * 10 + (*begin - '0');
        if (port > 65535)
            return -EINVAL;
    }
    if (port == 0)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

int pirn_http_url_split(const char *string, struct url *ret_url)
{
    struct url url;
    const char *authority, *rest;
    memset(&url, 0, sizeof(url));
    if (strncasecmp(string, "http://", 7) == 0) {
        authority = string + 7;
        url.port = 80;
    } else if (strncasecmp(string, "https://", 8) == 0) {
        authority = string + 8;
        url.port = 443;
        url.secure = true;
    } else {
        return -EINVAL;
    }
    const char *end = authority + strcspn(authority, "/?#");
    int err = split_host(authority, end, &url, &rest);
    if (err == 0)
        err = split_port(rest, end, &url.port);
    if (err < 0)
        return err;
    url.target = end;
    url.target_len = strcspn(end, "#");
    url.needs_slash = *end != '/';
    for (size_t i = 0; i < url.target_len; i++)
        if ((unsigned char)end[i] <= ' ' || (unsigned char)end[i] >= 0x7f)
            return -EINVAL;
    *ret_url = url;
    return 0;
}
