/*
 * Three pictures, downloaded by a client that blocks, on threads of the default pool:
 * s236_three_pictures [PORT] of the site (site.c). Saved under their names, and removed again.
 *
 * Python's listing says that a download is done once it has the response, and saves it then; it
 * blocks its loop for that, a worker is not blocked.
 */
#include "seeds.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const paths[] = {"/bbpic/98/10798.jpg", "/bbpic/92/10792.jpg",
                                    "/bbpic/86/10386.jpg"};
static uint16_t port = 8000;

struct download {
    const char *path;
    char response[32768];
    size_t n;
};

/* requests.get: connects, asks, and reads to the end; plain system calls, which block. */
static int get(void *arg)
{
    struct download *d = arg;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    char request[256];
    ssize_t got;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -1 : 0);
    int n = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", d->path);
    must(send(fd, request, (size_t)n, 0) == n ? 0 : -1);
    while ((got = recv(fd, d->response + d->n, sizeof(d->response) - 1 - d->n, 0)) > 0)
        d->n += (size_t)got;
    close(fd);
    return 0;
}

static int download_image(void *arg)
{
    struct download *d = calloc(1, sizeof(*d));
    pirn_job *future;
    int rc = 0;
    d->path = arg;
    printf("begin: %s\n", d->path);
    must(pirn_thread_pool_submit(NULL, &future, get, d));
    must(pirn_join(future, &rc, PIRN_NEVER));
    printf("done\n");
    const char *image = strstr(d->response, "\r\n\r\n") + 4;
    size_t n = d->n - (size_t)(image - d->response);
    must(pirn_file_save(strrchr(d->path, '/') + 1, image, n, 0666, 0, PIRN_NEVER));
    free(d);
    return rc;
}

static int start(void *arg)
{
    pirn_scope *scope;
    (void)arg;
    must(pirn_scope_open(&scope, 0));
    for (int i = 0; i < 3; i++)
        must(pirn_scope_spawn(scope, download_image, (void *)paths[i], PIRN_NEVER));
    return pirn_scope_close(scope, PIRN_NEVER);
}

/* 20,000 bytes, the path over and over. */
static int is_whole(const char *path)
{
    const char *file_name = strrchr(path, '/') + 1;
    FILE *in = fopen(file_name, "rb");
    size_t n = 0;
    int c, good = in != NULL;
    for (; in != NULL && (c = fgetc(in)) != EOF; n++)
        good = good && c == path[n % strlen(path)];
    if (in != NULL)
        fclose(in);
    unlink(file_name);
    return good && n == 20000;
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/pictures-XXXXXX";
    if (argc > 1)
        port = (uint16_t)atoi(argv[1]);
    if (mkdtemp(dir) == NULL || chdir(dir) < 0)
        return 1;
    int rc = pirn_run(start, NULL);
    for (int i = 0; i < 3; i++)
        printf("%s: %s\n", strrchr(paths[i], '/') + 1, is_whole(paths[i]) ? "whole" : "not whole");
    rmdir(dir);
    return report(rc);
}
