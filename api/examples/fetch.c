/*
 * Fetches URLs at the same time: fetch [-d DIR] URL... For each a line, as it comes: its status,
 * how many bytes, and the URL; with -d the bodies go to DIR/1, DIR/2, ... The exit status says
 * whether all came.
 */
#include <errno.h>
#include <fcntl.h>
#include <pirn/http.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    int number;
    const char *url;
    bool came;
};

static pirn_http_client *client;
static const char *dir;

/* Streams the body into its file: how many bytes. */
static ssize_t save(pirn_http_response *response, int number)
{
    char path[4096], buf[16384];
    ssize_t n, all = 0;
    int file = -1, err = 0;
    if (dir != NULL) {
        snprintf(path, sizeof path, "%s/%d", dir, number);
        file = pirn_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666, PIRN_NEVER);
        if (file < 0)
            return file;
    }
    while ((n = pirn_http_response_read(response, buf, sizeof buf, pirn_after_s(30))) > 0) {
        if (file >= 0 && pirn_write(file, buf, (size_t)n, PIRN_NEVER) != n)
            n = -EIO; /* the disk is full, say */
        if (n < 0)
            break;
        all += n;
    }
    if (file >= 0)
        err = pirn_close(file);
    if (n == 0)
        n = err;
    return n < 0 ? n : all;
}

static int fetch(void *arg)
{
    struct job *job = arg;
    pirn_http_response *response;
    ssize_t n = pirn_http_get(client, job->url, &response, pirn_after_s(30));
    if (n == 0) {
        int status = pirn_http_response_status(response);
        n = save(response, job->number);
        if (n >= 0)
            printf("%d %zd %s\n", status, n, job->url);
        pirn_http_response_free(response);
    }
    if (n < 0)
        fprintf(stderr, "fetch: %s: %s\n", job->url, strerror((int)-n));
    job->came = n >= 0;
    return 0; /* else a failure would end the others */
}

struct list {
    char **urls;
    int count;
};

/* When the scope is closed, whatever came, nobody uses the jobs any more. */
static int fetch_all(struct job *jobs, int count)
{
    pirn_scope *scope;
    int err = pirn_scope_open(&scope, 0);
    if (err < 0)
        return err;
    for (int i = 0; err == 0 && i < count; i++)
        err = pirn_scope_spawn(scope, fetch, &jobs[i], PIRN_NEVER);
    if (err < 0)
        pirn_scope_fail(scope, err);
    err = pirn_scope_close(scope, PIRN_NEVER);
    for (int i = 0; err == 0 && i < count; i++)
        err = !jobs[i].came;
    return err;
}

static int start(void *arg)
{
    const struct list *list = arg;
    struct job *jobs = calloc((size_t)list->count, sizeof *jobs);
    int err = jobs == NULL ? -ENOMEM : pirn_http_client_new(&client, NULL);
    if (err == 0) {
        for (int i = 0; i < list->count; i++)
            jobs[i] = (struct job){i + 1, list->urls[i], false};
        err = fetch_all(jobs, list->count);
        pirn_http_client_free(client);
    }
    free(jobs);
    return err;
}

int main(int argc, char **argv)
{
    int first = 1;
    struct list list;
    if (argc > 2 && strcmp(argv[1], "-d") == 0) {
        dir = argv[2];
        first = 3;
    }
    list.urls = argv + first;
    list.count = argc - first;
    if (list.count < 1) {
        fprintf(stderr, "usage: fetch [-d DIR] URL...\n");
        return 2;
    }
    int err = pirn_run(start, &list);
    if (err < 0)
        fprintf(stderr, "fetch: %s\n", strerror(-err));
    return err != 0;
}
