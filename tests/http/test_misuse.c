/* Calls that cannot be meant: NULL, a body of NULL. */
#include "tests/http/site.h"

/* ---- NULL ---------------------------------------------------------------------------------- */

static void nulls(void)
{
    const char *name, *value;
    char *body, byte;
    struct json_t *json;
    CHECK(pirn_http_method(NULL) == NULL && pirn_http_target(NULL) == NULL);
    CHECK(pirn_http_path(NULL) == NULL && pirn_http_param(NULL, "a") == NULL);
    CHECK(pirn_http_query(NULL, "a") == NULL && pirn_http_header(NULL, "a") == NULL);
    CHECK(pirn_http_stream(NULL) == NULL && !pirn_http_disconnected(NULL));
    CHECK_EQ(pirn_http_header_at(NULL, 0, &name, &value), -EINVAL);
    CHECK_EQ(pirn_http_body_length(NULL), -EINVAL);
    CHECK_EQ(pirn_http_body_read(NULL, &byte, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_body_all(NULL, &body, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_body_json(NULL, &json, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_reply_header(NULL, "a", "b"), -EINVAL);
    CHECK_EQ(pirn_http_reply_bytes(NULL, 200, NULL, NULL, 0), -EINVAL);
    CHECK_EQ(pirn_http_reply_text(NULL, 200, "a"), -EINVAL);
    CHECK_EQ(pirn_http_reply_begin(NULL, 200, NULL, -1), -EINVAL);
    CHECK_EQ(pirn_http_reply_write(NULL, "a", 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_response_status(NULL), -EINVAL);
    CHECK_EQ(pirn_http_response_length(NULL), -EINVAL);
    CHECK(pirn_http_response_header(NULL, "a") == NULL);
    CHECK_EQ(pirn_http_response_header_at(NULL, 0, &name, &value), -EINVAL);
    CHECK_EQ(pirn_http_response_read(NULL, &byte, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_response_all(NULL, &body, 1, PIRN_NOW), -EINVAL);
    CHECK_EQ(pirn_http_response_json(NULL, &json, 1, PIRN_NOW), -EINVAL);
    pirn_http_response_free(NULL);
    pirn_http_client_free(NULL);
    pirn_http_server_release(NULL);
}

START_TEST(null_is_refused)
{
    support_everywhere(nulls);
}
END_TEST

/* Where a result goes, and what is asked for. */
static int null_results(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    const char *text;
    char *body;
    (void)user;
    CHECK_EQ(pirn_http_header_at(request, 0, NULL, &text), -EINVAL);
    CHECK_EQ(pirn_http_header_at(request, 0, &text, NULL), -EINVAL);
    CHECK(pirn_http_param(request, NULL) == NULL && pirn_http_query(request, NULL) == NULL);
    CHECK(pirn_http_header(request, NULL) == NULL);
    CHECK_EQ(pirn_http_body_all(request, NULL, 99, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_body_json(request, NULL, 99, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_body_all(request, &body, 99, PIRN_NEVER), 4); /* none of it was taken */
    CHECK_EQ(pirn_http_reply_bytes(reply, 200, NULL, NULL, 4), -EINVAL);
    CHECK_OK(pirn_http_reply_bytes(reply, 200, NULL, body, 4));
    free(body);
    return 0;
}

static int null_arguments(void *arg)
{
    struct site site;
    pirn_http_client *client;
    pirn_http_response *response;
    char url[64], *body;
    const char *text;
    (void)arg;
    site_new(&site, NULL);
    site_route(&site, "POST", "/{a}", null_results, NULL);
    site_open(&site);
    CHECK_OK(pirn_http_client_new(&client, NULL));
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/x?a=b", site.port);
    CHECK_EQ(pirn_http_post(client, url, NULL, NULL, 4, &response, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_post(client, url, NULL, "1234", 4, NULL, PIRN_NEVER), -EINVAL);
    CHECK_OK(pirn_http_post(client, url, NULL, "1234", 4, &response, PIRN_NEVER));
    CHECK_EQ(pirn_http_response_status(response), 200);
    CHECK(pirn_http_response_header(response, NULL) == NULL);
    CHECK_EQ(pirn_http_response_header_at(response, 0, NULL, &text), -EINVAL);
    CHECK_EQ(pirn_http_response_all(response, NULL, 99, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_response_json(response, NULL, 99, PIRN_NEVER), -EINVAL);
    CHECK_EQ(pirn_http_response_all(response, &body, 99, PIRN_NEVER), 4);
    CHECK(strcmp(body, "1234") == 0);
    free(body);
    pirn_http_response_free(response);
    pirn_http_client_free(client);
    site_close(&site);
    return 0;
}

START_TEST(null_arguments_are_refused)
{
    FOR_WORKERS(w) CHECK_OK(support_run(w, null_arguments, NULL));
}
END_TEST

SUPPORT_MAIN("http/misuse", null_is_refused, null_arguments_are_refused)
