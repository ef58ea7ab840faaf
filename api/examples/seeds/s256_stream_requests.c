/*
 * Twenty pages over streams, at the same time; printed in the order of the list, once all are
 * there: s256_stream_requests [PORT] of the site (site.c).
 */
#include "seeds.h"

#include <unistd.h>

enum {
    PAGES = 20
};

static const char *port = "8000";

/* The task's value: the page as text. */
static int get_html(void *arg)
{
    pirn_stream *stream;
    char *page = calloc(1, 4096);
    const char *line;
    ssize_t n;
    int fd = pirn_connect_host("127.0.0.1", port, NULL, PIRN_NEVER);
    if (fd < 0 || page == NULL) {
        free(page);
        return fd;
    }
    must(pirn_stream_new(&stream, fd, NULL));
    pirn_stream_printf(stream,
                       "GET /item/%d HTTP/1.1\r\nHost:127.0.0.1\r\nConnection:close\r\n\r\n",
                       (int)(intptr_t)arg);
    while ((n = pirn_stream_read_line(stream, &line, PIRN_NEVER)) > 0)
        if (*line == '<') /* the headers are not printed here */
            snprintf(page, 4096, "%.*s", (int)n, line);
    pirn_stream_close(stream, PIRN_NEVER);
    pirn_stream_release(stream);
    must(pirn_set_value(page, free));
    return (int)n;
}

static int start(void *arg)
{
    pirn_awaitable *tasks[PAGES];
    (void)arg;
    for (int i = 0; i < PAGES; i++)
        must(pirn_spawn(&tasks[i], get_html, (void *)(intptr_t)i));
    must(pirn_wait(tasks, PAGES, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
    for (int i = 0; i < PAGES; i++) {
        printf("%s\n", (const char *)pirn_value(tasks[i]));
        pirn_release(tasks[i]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        port = argv[1];
    return report(pirn_run(start, NULL));
}
