/* The least program that needs all of libpirn-http: it asks its own server. */
#include <pirn/http.h>
#include <stdlib.h>

static int hello(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)user;
    return pirn_http_reply_text(reply, 200, pirn_http_param(request, "n"));
}

static int start(void *arg)
{
    pirn_http_server *server;
    pirn_http_client *client;
    pirn_http_response *response;
    char url[64], *body = NULL;
    int answer = -1;
    (void)arg;
    if (pirn_http_server_new(&server, NULL) < 0 || pirn_http_client_new(&client, NULL) < 0 ||
        pirn_http_server_route(server, "GET", "/{n}", hello, NULL, NULL) < 0)
        return -1;
    if (pirn_http_server_listen(server, "127.0.0.1", NULL, NULL, PIRN_NEVER) < 0)
        return -1;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/42", pirn_http_server_port(server));
    if (pirn_http_get(client, url, &response, pirn_after_s(10)) == 0) {
        if (pirn_http_response_all(response, &body, 100, pirn_after_s(10)) == 2)
            answer = atoi(body);
        free(body);
        pirn_http_response_free(response);
    }
    pirn_http_client_free(client);
    if (pirn_http_server_stop(server, pirn_after_s(10)) < 0)
        answer = -1;
    pirn_http_server_release(server);
    return answer;
}

int main(void)
{
    int answer = pirn_run(start, NULL);
    printf("the answer is %d\n", answer);
    return answer != 42;
}
