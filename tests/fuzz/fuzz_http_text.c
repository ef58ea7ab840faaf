/* URLs, paths to a router, queries, headers to be written: whatever goes in, no line end comes
 * out. */
#include "tests/fuzz/fuzz_http.h"

#include "api/http/router.h"
#include "api/http/text.h"
#include "api/http/url.h"

static int nothing(pirn_http_request *request, pirn_http_reply *reply, void *user)
{
    (void)request;
    (void)reply;
    (void)user;
    return 0;
}

static void check_url(const char *string)
{
    struct url url;
    if (pirn_http_url_split(string, &url) < 0)
        return;
    MUST(url.host[0] != '\0' && strpbrk(url.host, "\r\n \t/@") == NULL && url.port != 0);
    for (size_t i = 0; i < url.target_len; i++)
        MUST((unsigned char)url.target[i] > ' ' && (unsigned char)url.target[i] < 0x7f);
}

static void check_route(const char *string)
{
    static const char *const patterns[] = {"/", "/a", "/a/{b}", "/{c}/d", "/a/{b}/{e...}"};
    static struct router router;
    struct match match;
    char *path = strdup(string), *copy = strdup(string), list[64];
    MUST(path != NULL && copy != NULL);
    if (router.count == 0)
        for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
            MUST(pirn_http_router_add(&router, "GET", patterns[i], nothing, NULL, 0, -1) == 0);
    if (pirn_http_router_find(&router, "GET", path, &match) == 0) {
        for (const char *name = "b\0c\0e\0"; *name != '\0'; name += 2) {
            const char *value = pirn_http_router_param(&match, path, name);
            MUST(value == NULL ||
                 (value >= path && value + strlen(value) <= path + strlen(string)));
        }
        pirn_http_router_methods(&router, copy, list, sizeof list);
    }
    free(path);
    free(copy);
}

static void check_pattern(const char *string)
{
    struct router router = {0};
    int err = pirn_http_router_add(&router, "GET", string, nothing, NULL, 0, -1);
    MUST((err == 0) == (router.count == 1));
    pirn_http_router_free(&router);
}

static void check_field(const char *name, const char *value)
{
    struct text t = {0};
    if (pirn_http_text_field(&t, name, value) == 0) {
        const char *end = memchr(t.data, '\r', t.used);
        MUST(end == t.data + t.used - 2 && memchr(t.data, '\n', t.used) == t.data + t.used - 1);
    }
    pirn_http_text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *string = malloc(size + 1), *decoded = malloc(size + 1);
    MUST(string != NULL && decoded != NULL);
    memcpy(string, data, size);
    string[size] = '\0';
    check_url(string);
    check_route(string);
    check_pattern(string);
    check_field("Name", string);
    check_field(string, "value");
    strcpy(decoded, string);
    if (pirn_http_decode(decoded, true))
        MUST(strlen(decoded) <= strlen(string));
    free(string);
    free(decoded);
    return 0;
}
