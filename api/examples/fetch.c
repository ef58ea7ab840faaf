/*
 * Fetches URLs at the same time: fetch [-d DIR] URL... For each a line, as it comes: its status,
 * how many bytes, and the URL; with -d the bodies go to DIR/1, DIR/2, ... The exit status says
 * whether all came.
 */
#include <errno.h>
#include <fcntl.h>
#include <pirn/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    int number;
    const char *url;
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
    const struct job *job = arg;
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
    return n < 0; /* no reason to end the others */
}

struct list {
    char **urls;
    int count;
};

static int start(void *arg)
{
    const struct list *list = arg;
    pirn_task **tasks = calloc((size_t)list->count, sizeof *tasks);
    struct job *jobs = calloc((size_t)list->count, sizeof *jobs);
    int failed = 0, err = pirn_http_client_new(&client, NULL);
    if (err < 0 || tasks == NULL || jobs == NULL)
        return -1;
    for (int i = 0; i < list->count; i++) {
        jobs[i].number = i + 1;
        jobs[i].url = list->urls[i];
        if (pirn_spawn(&tasks[i], fetch, &jobs[i]) < 0)
            tasks[i] = NULL;
    }
    for (int i = 0; i < list->count; i++) {
        int status = 1;
        if (tasks[i] != NULL && pirn_join(tasks[i], &status, PIRN_NEVER) < 0)
            status = 1;
        failed += status != 0;
    }
    pirn_http_client_free(client);
    free(tasks);
    free(jobs);
    return failed;
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
    return pirn_run(start, &list) != 0;
}
