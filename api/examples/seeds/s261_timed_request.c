/* One request of two seconds to the web server of s260, timed: s261_timed_request [PORT]. */
#include "seeds.h"

#include <pirn/http.h>

static int get_time(void *arg)
{
    pirn_http_client *client;
    pirn_http_response *response;
    pirn_time start_time = pirn_now();
    must(pirn_http_client_new(&client, NULL));
    must(pirn_http_get(client, arg, &response, PIRN_NEVER));
    pirn_http_response_free(response);
    pirn_http_client_free(client);
    printf("whole time is:  %.1f\n", since(start_time));
    return 0;
}

int main(int argc, char **argv)
{
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%s/timeit/2", argc > 1 ? argv[1] : "8000");
    return report(pirn_run(get_time, url));
}
