/*
 * Two requests to the web server of s260, of one second and of two, at the same time:
 * s262_two_requests [PORT]. One client makes both; each has a connection of its own. What was said
 * is printed, too.
 */
#include "seeds.h"

#include <pirn/http.h>

struct request {
    pirn_http_client *client;
    char url[64];
};

static int get(void *arg)
{
    const struct request *request = arg;
    pirn_http_response *response;
    char *content;
    int rc = pirn_http_get(request->client, request->url, &response, PIRN_NEVER);
    if (rc < 0)
        return rc;
    ssize_t n = pirn_http_response_all(response, &content, 1000, PIRN_NEVER);
    pirn_http_response_free(response);
    if (n < 0)
        return (int)n;
    printf("%s\n", content);
    free(content);
    return 0;
}

static int get_timeit(void *arg)
{
    struct request requests[2];
    pirn_awaitable *tasks[2], *both;
    pirn_http_client *client;
    pirn_time start_time = pirn_now();
    must(pirn_http_client_new(&client, NULL));
    for (int i = 0; i < 2; i++) {
        requests[i].client = client;
        snprintf(requests[i].url, sizeof(requests[i].url), "http://127.0.0.1:%s/timeit/%d",
                 (const char *)arg, i + 1);
        must(pirn_coroutine_new(&tasks[i], NULL, get, &requests[i]));
    }
    must(pirn_gather(&both, tasks, 2, 0));
    int rc = 0;
    must(pirn_join(both, &rc, PIRN_NEVER));
    for (int i = 0; i < 2; i++)
        pirn_release(tasks[i]);
    pirn_http_client_free(client);
    printf("total time is:  %.1f\n", since(start_time));
    return rc;
}

int main(int argc, char **argv)
{
    return report(pirn_run(get_timeit, argc > 1 ? argv[1] : "8000"));
}
