/* The least program that needs all of libpirn-http: it asks its own server. */
#include <pirn/http.h>
#include <stdlib.h>

static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)user;
    return pirn_http_reply_text(reply, 200, pirn_http_param(request, "n"));
}

static int serve(void *server)
{
    return pirn_http_serve(server);
}

static int start(void *arg)
{
    pirn_http_server *server;
    pirn_http_client *client;
    pirn_http_response *response;
    pirn_task *task;
    char url[64], *body = NULL;
    int port, status = 0, answer = -1;
    (void)arg;
    if (pirn_http_server_new(&server, NULL) < 0 || pirn_http_client_new(&client, NULL) < 0 ||
        pirn_http_route(server, "GET", "/{n}", hello, NULL, 0) < 0)
        return -1;
    port = pirn_http_listen(server, "127.0.0.1", 0);
    if (port < 0 || pirn_spawn(&task, serve, server) < 0)
        return -1;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/42", port);
    if (pirn_http_get(client, url, &response, pirn_after_s(10)) == 0) {
        if (pirn_http_response_all(response, &body, 100, pirn_after_s(10)) == 2)
            answer = atoi(body);
        free(body);
        pirn_http_response_release(response);
    }
    pirn_http_client_free(client);
    pirn_http_stop(server, pirn_after_s(0));
    if (pirn_join(task, &status, PIRN_NEVER) == 0)
        pirn_http_server_free(server);
    return answer;
}

int main(void)
{
    int answer = pirn_run(start, NULL);
    printf("the answer is %d\n", answer);
    return answer != 42;
}
