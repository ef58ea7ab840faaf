/*
 * Transfers by libcurl: curl [-w WORKERS] [-c AT_ONCE] [-t SECONDS] [-o FOLDER] URL... fetches
 * every URL, so many (10) at a time, each within so many seconds (30), and says of each, as it
 * comes, its status and its length; -o also saves them as 1, 2, ... SIGINT gives up what is under
 * way.
 *
 * with_curl.h has the glue. The coroutines that fetch take the next URL from a counter; each keeps
 * its connections.
 */
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "with_curl.h"

typedef struct errand {
    char **urls;
    int n, workers, at_once;
    double seconds;
    const char *folder;
    atomic_int next, failed;
} errand;

typedef struct body {
    char *bytes;
    size_t len;
} body;

static size_t take(char *data, size_t size, size_t n, void *user)
{
    body *b = user;
    char *bytes = realloc(b->bytes, b->len + size * n);
    if (bytes == NULL)
        return 0; /* libcurl ends the transfer */
    memcpy(bytes + b->len, data, size * n);
    b->bytes = bytes;
    b->len += size * n;
    return size * n;
}

static int save(const errand *e, int i, const body *b)
{
    char path[4096];
    if (e->folder == NULL)
        return 0;
    snprintf(path, sizeof(path), "%s/%d", e->folder, i + 1);
    return pirn_file_save(path, b->bytes, b->len, 0666, 0, PIRN_NEVER);
}

static int fetch(errand *e, with_curl *http, int i)
{
    body b = {NULL, 0};
    CURLcode code = CURLE_OK;
    long status = 0;
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_URL, e->urls[i]);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &b);
    int rc = with_curl_perform(http, easy, &code, pirn_after_s(e->seconds));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (rc == 0 && code == CURLE_OK)
        rc = save(e, i, &b);
    if (rc == 0 && code == CURLE_OK)
        printf("%s: %ld, %zu bytes\n", e->urls[i], status, b.len);
    else
        printf("%s: %s\n", e->urls[i], rc < 0 ? strerror(-rc) : curl_easy_strerror(code));
    if (rc < 0 || code != CURLE_OK || status >= 400)
        atomic_fetch_add(&e->failed, 1);
    curl_easy_cleanup(easy);
    free(b.bytes);
    return rc == -ECANCELED || rc == -ESHUTDOWN ? rc : 0;
}

static int fetcher(void *arg)
{
    errand *e = arg;
    with_curl http;
    int i, rc = with_curl_open(&http);
    if (rc != 0)
        return rc;
    while (rc == 0 && (i = atomic_fetch_add(&e->next, 1)) < e->n)
        rc = fetch(e, &http, i);
    with_curl_close(&http);
    return rc;
}

static int start(void *arg)
{
    errand *e = arg;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope *scope;
    int rc = pirn_scope_open(&scope, 0);
    if (rc < 0)
        return rc;
    config.name = "fetcher";
    config.stack_size = WITH_CURL_STACK;
    for (int i = 0; rc == 0 && i < e->at_once && i < e->n; i++)
        rc = pirn_scope_spawn_with(scope, &config, fetcher, e, PIRN_NEVER);
    if (rc < 0)
        pirn_scope_fail(scope, rc);
    return pirn_scope_close(scope, PIRN_NEVER);
}

static int parse(errand *e, int argc, char **argv)
{
    int c;
    while ((c = getopt(argc, argv, "w:c:t:o:")) != -1) {
        if (c == 'w')
            e->workers = atoi(optarg);
        else if (c == 'c')
            e->at_once = atoi(optarg);
        else if (c == 't')
            e->seconds = atof(optarg);
        else if (c == 'o')
            e->folder = optarg;
        else
            return -EINVAL;
    }
    e->urls = argv + optind;
    e->n = argc - optind;
    return e->n > 0 && e->at_once > 0 && e->seconds > 0 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    errand e = {.at_once = 10, .seconds = 30};
    pirn_config config = PIRN_CONFIG_INIT;
    int rc, status = 0;
    if (parse(&e, argc, argv) < 0) {
        fprintf(stderr, "usage: curl [-w WORKERS] [-c AT_ONCE] [-t SECONDS] [-o FOLDER] URL...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return 1;
    config.flags = PIRN_SIGINT_CANCELS;
    config.workers = e.workers;
    rc = pirn_run_with(&config, start, &e, &status);
    curl_global_cleanup();
    if (rc == 0)
        rc = status;
    if (rc < 0 && rc != -EINTR) /* SIGINT */
        fprintf(stderr, "curl: %s\n", strerror(-rc));
    return rc < 0 || atomic_load(&e.failed) != 0;
}
