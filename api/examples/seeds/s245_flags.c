/*
 * Twenty flags, downloaded at the same time and saved: s245_flags [PORT] of the site (site.c). The
 * codes are printed as they come.
 *
 * Afterwards, which Python's listing leaves to whoever looks, the files are read again, compared
 * with what the site has, and removed.
 */
#include "seeds.h"

#include <pirn/http.h>
#include <unistd.h>

static const char *const pop20_cc[] = {"CN", "IN", "US", "ID", "BR", "PK", "NG", "BD", "RU", "JP",
                                       "MX", "PH", "VN", "ET", "EG", "DE", "IR", "TR", "CD", "FR"};
enum {
    COUNT = sizeof(pop20_cc) / sizeof(pop20_cc[0])
};

static char dest_dir[] = "/tmp/flags-XXXXXX";
static const char *port;
static pirn_http_client *session;

/* "/data/flags/cn/cn.gif", and where it is saved. */
static void names(const char *cc, char path[64], char file[64])
{
    char low[3] = {(char)(cc[0] | 0x20), (char)(cc[1] | 0x20), '\0'};
    snprintf(path, 64, "/data/flags/%s/%s.gif", low, low);
    snprintf(file, 64, "%s/%s.gif", dest_dir, low);
}

static ssize_t get_flag(const char *path, char **ret_image)
{
    char url[128];
    pirn_http_response *response;
    snprintf(url, sizeof(url), "http://127.0.0.1:%s%s", port, path);
    int rc = pirn_http_get(session, url, &response, PIRN_NEVER);
    if (rc < 0)
        return rc;
    ssize_t n = pirn_http_response_all(response, ret_image, 1 << 20, PIRN_NEVER);
    pirn_http_response_free(response);
    return n;
}

static int download_flag(void *arg)
{
    const char *cc = arg;
    char path[64], file[64], *image;
    names(cc, path, file);
    ssize_t n = get_flag(path, &image);
    if (n < 0)
        return (int)n;
    printf("%s\n", cc);
    int rc = pirn_file_save(file, image, (size_t)n, 0666, 0, PIRN_NEVER);
    free(image);
    return rc;
}

static int download_many(void *arg)
{
    pirn_scope *scope;
    (void)arg;
    must(pirn_http_client_new(&session, NULL));
    must(pirn_scope_open(&scope, 0));
    for (int i = 0; i < COUNT; i++)
        must(pirn_scope_spawn(scope, download_flag, (void *)pop20_cc[i], PIRN_NEVER));
    int rc = pirn_scope_close(scope, PIRN_NEVER);
    pirn_http_client_free(session);
    return rc < 0 ? rc : COUNT;
}

/* 20,000 bytes, the path over and over. */
static int is_whole(const char *cc)
{
    char path[64], file[64];
    names(cc, path, file);
    FILE *in = fopen(file, "rb");
    if (in == NULL)
        return 0;
    size_t n = 0;
    int c, good = 1;
    for (; (c = fgetc(in)) != EOF; n++)
        good = good && c == path[n % strlen(path)];
    fclose(in);
    unlink(file);
    return good && n == 20000;
}

int main(int argc, char **argv)
{
    port = argc > 1 ? argv[1] : "8000";
    if (mkdtemp(dest_dir) == NULL)
        return 1;
    pirn_time t0 = pirn_now();
    int count = pirn_run(download_many, NULL), whole = 0;
    printf("%d flags downloaded in %.2fs\n", count, since(t0));
    for (int i = 0; i < COUNT; i++)
        whole += is_whole(pop20_cc[i]);
    printf("%d files are what the site has\n", whole);
    rmdir(dest_dir);
    return report(count);
}
