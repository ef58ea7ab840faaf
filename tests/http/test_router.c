/* Routes, URLs, and what is written into heads. */
#include "api/http/router.h"
#include "api/http/text.h"
#include "api/http/url.h"
#include "tests/support.h"

static int nothing(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)reply;
    (void)user;
    return 0;
}

static int add(struct router *router, const char *method, const char *pattern)
{
    return pirn_http_router_add(router, method, pattern, nothing, NULL, 0, -1);
}

/* The pattern that was found, by its number, which is its parameter "n" or stands in user. */
static struct match find(const struct router *router, const char *method, const char *path,
                         char *space)
{
    struct match match;
    strcpy(space, path);
    CHECK_OK(pirn_http_router_find(router, method, space, &match));
    return match;
}

START_TEST(s171_the_most_special_route_is_found)
{
    struct router router = {0};
    char space[256], list[64];
    static const char *patterns[] = {
        "/{any...}",       "/users/{id}", "/users/me", "/", "/users/{id}/posts/{post}",
        "/files/{path...}"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        CHECK_OK(
            pirn_http_router_add(&router, "GET", patterns[i], nothing, (void *)patterns[i], 0, -1));
    CHECK_OK(add(&router, "POST", "/users/{id}"));
    CHECK_OK(add(&router, "*", "/users/{id}/posts/{post}"));
    CHECK(find(&router, "GET", "/", space).route->user == patterns[3]);
    CHECK(find(&router, "GET", "/users/me", space).route->user == patterns[2]);
    CHECK(find(&router, "HEAD", "/users/me", space).route->user == patterns[2]);
    struct match match = find(&router, "GET", "/users/a%2Fb%20c", space);
    CHECK(match.route->user == patterns[1]);
    CHECK(strcmp(pirn_http_router_param(&match, space, "id"), "a/b c") == 0);
    CHECK(pirn_http_router_param(&match, space, "post") == NULL);
    match = find(&router, "GET", "/users/7/posts/8", space);
    CHECK(match.route->user == patterns[4]);
    CHECK(strcmp(pirn_http_router_param(&match, space, "id"), "7") == 0);
    CHECK(strcmp(pirn_http_router_param(&match, space, "post"), "8") == 0);
    match = find(&router, "GET", "/files/a/%62/../c", space);
    CHECK(match.route->user == patterns[5]);
    CHECK(strcmp(pirn_http_router_param(&match, space, "path"), "a/b/../c") == 0);
    CHECK(find(&router, "GET", "/users/7/posts", space).route->user == patterns[0]);
    CHECK(find(&router, "DELETE", "/users/7/posts/8", space).route->user == NULL);
    match = find(&router, "DELETE", "/users/me", space);
    CHECK(match.route == NULL && match.other_method);
    CHECK(pirn_http_router_param(&match, space, "id") == NULL);
    strcpy(space, "/users/x");
    pirn_http_router_methods(&router, space, list, sizeof list);
    CHECK(strstr(list, "POST") != NULL && strstr(list, "GET, HEAD") != NULL);
    pirn_http_router_free(&router);
}
END_TEST

START_TEST(s171_no_route)
{
    struct router router = {0};
    struct match match;
    char space[1024] = "/a%zz", many[1024] = "";
    CHECK_OK(add(&router, "GET", "/a/{b}"));
    CHECK_EQ(add(&router, "GET", "/a/{c}"), -EEXIST);
    CHECK_EQ(add(&router, "G T", "/b"), -EINVAL);
    CHECK_EQ(add(&router, "GET", "b"), -EINVAL);
    CHECK_EQ(add(&router, "GET", ""), -EINVAL);
    CHECK_EQ(add(&router, "GET", "/{}"), -EINVAL);
    CHECK_EQ(add(&router, "GET", "/{a"), -EINVAL);
    CHECK_EQ(add(&router, "GET", "/a}"), -EINVAL);
    CHECK_EQ(add(&router, "GET", "/{a...}/b"), -EINVAL);
    CHECK_EQ(router.count, 1);
    CHECK_EQ(pirn_http_router_find(&router, "GET", space, &match), -EINVAL);
    strcpy(space, "/a/%00");
    CHECK_EQ(pirn_http_router_find(&router, "GET", space, &match), -EINVAL);
    match = find(&router, "GET", "/a", space);
    CHECK(match.route == NULL && !match.other_method);
    CHECK(find(&router, "GET", "*", space).route == NULL);
    CHECK(find(&router, "GET", "", space).route == NULL);
    for (int i = 0; i < MAX_SEGMENTS + 10; i++)
        strcat(many, "/a");
    CHECK(find(&router, "GET", many, space).route == NULL);
    pirn_http_router_free(&router);
}
END_TEST

START_TEST(s141_urls)
{
    struct url url;
    CHECK_OK(pirn_http_url_split("http://Example.com", &url));
    CHECK(strcmp(url.host, "example.com") == 0);
    CHECK(url.port == 80 && !url.secure && url.needs_slash && url.target_len == 0);
    CHECK_OK(pirn_http_url_split("HTTPS://a:8443/b/c?d=e#f", &url));
    CHECK(url.secure && url.port == 8443 && !url.needs_slash && url.target_len == 8);
    CHECK(memcmp(url.target, "/b/c?d=e", 8) == 0);
    CHECK_OK(pirn_http_url_split("http://a?q", &url));
    CHECK(url.needs_slash && url.target_len == 2);
    CHECK_OK(pirn_http_url_split("http://[::1]:80/", &url));
    CHECK(url.literal && strcmp(url.host, "::1") == 0);
    CHECK_OK(pirn_http_url_split("https://a:/", &url));
    CHECK_EQ(url.port, 443);
    static const char *bad[] = {"",
                                "a",
                                "ftp://a",
                                "http://",
                                "http:///a",
                                "http://a:b",
                                "http://a:0",
                                "http://a:65536",
                                "http://u@a",
                                "http://[::1",
                                "http://a/b c",
                                "http://a/\r\nX: y",
                                "http://a b",
                                "http://a\r/",
                                "http://a/\xc3",
                                "http://[::1]a",
                                "http://[cafe.be]/",
                                "http://[.]/",
                                "http://[1.2.3.4]/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_EQ(pirn_http_url_split(bad[i], &url), -EINVAL);
}
END_TEST

START_TEST(s168_no_header_is_smuggled_into_what_is_written)
{
    struct text t = {0};
    CHECK_OK(pirn_http_text_field(&t, "A", "b\tc \xff"));
    CHECK_EQ(pirn_http_text_field(&t, "A", "b\r\nC: d"), -EINVAL);
    CHECK_EQ(pirn_http_text_field(&t, "A", "b\n"), -EINVAL);
    CHECK_EQ(pirn_http_text_field(&t, "A", "b\r"), -EINVAL);
    CHECK_EQ(pirn_http_text_field(&t, "A\r\nC", "b"), -EINVAL);
    CHECK_EQ(pirn_http_text_field(&t, "A:", "b"), -EINVAL);
    CHECK_EQ(pirn_http_text_field(&t, "", "b"), -EINVAL);
    pirn_http_text_number(&t, UINT64_MAX);
    pirn_http_text_chunk(&t, 0);
    pirn_http_text_chunk(&t, 0x1aF);
    static const char all[] = "A: b\tc \xff\r\n18446744073709551615"
                              "0\r\n1af\r\n";
    CHECK_EQ(t.used, sizeof all - 1);
    CHECK(memcmp(t.data, all, t.used) == 0);
    pirn_http_text_free(&t);
}
END_TEST

SUPPORT_MAIN("http/router", s171_the_most_special_route_is_found, s171_no_route, s141_urls,
             s168_no_header_is_smuggled_into_what_is_written)
