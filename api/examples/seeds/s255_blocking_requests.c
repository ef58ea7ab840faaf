/*
 * Ten pages over plain sockets that block, on a pool of two threads and then in line:
 * s255_blocking_requests [PORT] of the site (site.c). The pool takes half the time.
 */
#include "seeds.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PAGES = 10
};

static const char *port = "8000";

struct url {
    char host[64], port[8], path[128];
};

/* "http://host:port/path"; an empty path is "/". */
static int parse_url(const char *text, struct url *ret_url)
{
    memset(ret_url, 0, sizeof(*ret_url));
    strcpy(ret_url->port, "80");
    if (sscanf(text, "http://%63[^:/]:%7[0-9]%127s", ret_url->host, ret_url->port, ret_url->path) <
            2 &&
        sscanf(text, "http://%63[^:/]%127s", ret_url->host, ret_url->path) < 1)
        return -1;
    if (ret_url->path[0] == '\0')
        strcpy(ret_url->path, "/");
    return 0;
}

static int get_html(void *arg)
{
    struct url url;
    struct sockaddr_in addr = {.sin_family = AF_INET};
    char address[64], data[4096];
    size_t used = 0;
    ssize_t n;
    snprintf(address, sizeof(address), "http://127.0.0.1:%s/item/%d", port, (int)(intptr_t)arg);
    must(parse_url(address, &url));
    addr.sin_port = htons((uint16_t)atoi(url.port));
    inet_pton(AF_INET, url.host, &addr.sin_addr);
    int client = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    must(connect(client, (struct sockaddr *)&addr, sizeof(addr)));
    int length =
        snprintf(data, sizeof(data), "GET %s HTTP/1.1\r\nHost:%s\r\nConnection:close\r\n\r\n",
                 url.path, url.host);
    must(send(client, data, (size_t)length, 0) == length ? 0 : -1);
    while ((n = recv(client, data + used, sizeof(data) - 1 - used, 0)) > 0)
        used += (size_t)n;
    data[used] = '\0';
    close(client);
    const char *body = strstr(data, "\r\n\r\n");
    if (body == NULL)
        return -1;
    printf("%s\n", body + 4);
    return 0;
}

int main(int argc, char **argv)
{
    pirn_thread_pool *executor;
    struct url url;
    if (argc > 1)
        port = argv[1];
    must(parse_url("http://example.com", &url));
    printf("%s has the path %s\n", "http://example.com", url.path);
    pirn_time start = pirn_now();
    must(pirn_thread_pool_new(&executor, 2));
    for (int i = 0; i < PAGES; i++)
        must(pirn_thread_pool_submit(executor, NULL, get_html, (void *)(intptr_t)i));
    must(pirn_thread_pool_close(executor, PIRN_NEVER));
    printf("elapsed: %.2f\n", since(start));
    start = pirn_now();
    for (int i = 0; i < PAGES; i++)
        must(get_html((void *)(intptr_t)i));
    printf("elapsed: %.2f\n", since(start));
    return 0;
}
