/*
 * A client's connections: how many to a host, which are kept, and for how long.
 *
 *   take   a place at the host (a semaphore's permit; waits). The connection kept last goes first:
 *          it is the least likely to have been closed by the server. One that has ended meanwhile,
 *          or has said something unasked, is closed, and the next is looked at; else a new one is
 *          made
 *   give   kept at the end of the list, or closed; the place is free
 *   sweep  at each take and give: the list is in the order of their age, so those that are too old
 *          are at its beginning
 *
 * A host's record goes with its last user, so a client may visit any number of hosts. Each has a
 * list of its own, and the buckets they are in grow: with a connection kept to each of 800 and
 * 8,000 hosts a request took 21 and 177 us when the one list was searched, now 15 to 21 and 31 to
 * 52.
 */
#include "api/http/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- Hosts ------------------------------------------------------------------------------- */

static struct host **bucket_of(struct host **hosts, unsigned bits, const char *name, uint16_t port)
{
    uint32_t hash = port;
    for (const char *c = name; *c != '\0'; c++)
        hash = hash * 31 + (unsigned char)*c;
    return &hosts[hash * 2654435769u >> (32 - bits)]; /* Knuth: 2^32 by the golden ratio */
}

static struct host **bucket(pirn_http_client *client, const char *name, uint16_t port)
{
    return bucket_of(client->hosts, client->host_bits, name, port);
}

/* Under the lock. Twice as many buckets; without memory for them it stays at these. */
static void grow(pirn_http_client *client)
{
    unsigned bits = client->host_bits + 1;
    struct host **hosts = bits < 32 ? calloc((size_t)1 << bits, sizeof(*hosts)) : NULL;
    if (hosts == NULL)
        return;
    for (size_t i = 0; i < (size_t)1 << client->host_bits; i++) {
        struct host *next;
        for (struct host *host = client->hosts[i]; host != NULL; host = next) {
            struct host **first = bucket_of(hosts, bits, host->name, host->port);
            next = host->next;
            host->next = *first;
            *first = host;
        }
    }
    free(client->hosts);
    client->hosts = hosts;
    client->host_bits = bits;
}

/* Under the lock. NULL: no memory. */
static struct host *host_new(pirn_http_client *client, const struct url *url)
{
    size_t n = strlen(url->host) + 1;
    struct host *host = calloc(1, sizeof(*host) + n);
    if (host == NULL)
        return NULL;
    if (client->host_count >> client->host_bits != 0)
        grow(client);
    struct host **first = bucket(client, url->host, url->port);
    memcpy(host->name, url->host, n);
    host->port = url->port;
    host->secure = url->secure;
    pirn_semaphore_init(&host->places, client->config.max_per_host);
    host->next = *first;
    *first = host;
    client->host_count++;
    return host;
}

static struct host *host_get(pirn_http_client *client, const struct url *url)
{
    pthread_mutex_lock(&client->lock);
    struct host *host = *bucket(client, url->host, url->port);
    while (host != NULL && (host->port != url->port || host->secure != url->secure ||
                            strcmp(host->name, url->host) != 0))
        host = host->next;
    if (host == NULL)
        host = host_new(client, url);
    if (host != NULL)
        host->users++;
    pthread_mutex_unlock(&client->lock);
    return host;
}

/* Under the lock. */
static void host_drop(pirn_http_client *client, struct host *host)
{
    struct host **at = bucket(client, host->name, host->port);
    if (--host->users > 0)
        return;
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    client->host_count--;
    free(host);
}

/* ---- Kept connections -------------------------------------------------------------------- */

/* Under the lock, which keeps its host. */
static void unlink_kept(pirn_http_client *client, struct link *link)
{
    if (link->prev != NULL)
        link->prev->next = link->next;
    else
        client->oldest = link->next;
    if (link->next != NULL)
        link->next->prev = link->prev;
    else
        client->newest = link->prev;
    if (link->host_prev != NULL)
        link->host_prev->host_next = link->host_next;
    else
        link->host->kept = link->host_next;
    if (link->host_next != NULL)
        link->host_next->host_prev = link->host_prev;
    link->next = link->prev = link->host_next = link->host_prev = NULL;
    client->idle_count--;
}

/* Under the lock. */
static void link_kept(pirn_http_client *client, struct link *link)
{
    struct host *host = link->host;
    link->prev = client->newest;
    if (client->newest != NULL)
        client->newest->next = link;
    else
        client->oldest = link;
    client->newest = link;
    link->host_next = host->kept;
    if (host->kept != NULL)
        host->kept->host_prev = link;
    host->kept = link;
    client->idle_count++;
}

static void close_link(struct link *link)
{
    if (pirn_current() != NULL)
        pirn_stream_abort(link->wire.stream); /* else what it has not sent would still be */
    pirn_stream_release(link->wire.stream);
    pirn_http_wire_free(&link->wire);
    free(link);
}

/* Has it not ended, and said nothing, since it was put by? */
static bool stands(const pirn_http_client *client, struct link *link)
{
    pirn_stream *stream = link->wire.stream;
    const char *data;
    char byte;
    if (client->config.connect != NULL) /* what comes may be TLS's own, a ticket */
        return pirn_http_glance(stream, &data, 1) == -ETIMEDOUT;
    if (pirn_http_glance(stream, &data, 0) != 0)
        return false;
    return recv(pirn_stream_fd(stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static struct link *take_kept(pirn_http_client *client, struct host *host)
{
    for (;;) {
        pthread_mutex_lock(&client->lock);
        struct link *link = host->kept;
        if (link != NULL) {
            unlink_kept(client, link);
            host->users--; /* the caller is another */
        }
        pthread_mutex_unlock(&client->lock);
        if (link == NULL || stands(client, link))
            return link;
        close_link(link);
    }
}

void pirn_http_pool_sweep(pirn_http_client *client, bool all)
{
    pirn_time now = pirn_now();
    for (;;) {
        struct link *link;
        pthread_mutex_lock(&client->lock);
        link = client->oldest;
        if (link != NULL && !all && client->idle_count <= client->config.max_idle &&
            now.ns - link->idle_since.ns < client->config.idle_time.ns)
            link = NULL;
        if (link != NULL) {
            unlink_kept(client, link);
            host_drop(client, link->host);
        }
        pthread_mutex_unlock(&client->lock);
        if (link == NULL)
            return;
        close_link(link);
    }
}

/* ---- In use ------------------------------------------------------------------------------ */

static int make_link(pirn_http_client *client, struct host *host, struct link **ret_link,
                     pirn_time deadline)
{
    pirn_stream *stream;
    struct link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return -ENOMEM;
    int err = pirn_http_connect(client, host, &stream, deadline);
    if (err < 0) {
        free(link);
        return err;
    }
    link->host = host;
    pirn_http_wire_init(&link->wire, stream, true, &client->limits);
    *ret_link = link;
    return 0;
}

int pirn_http_pool_take(pirn_http_client *client, const struct url *url, bool kept,
                        struct link **ret_link, pirn_time deadline)
{
    struct host *host = host_get(client, url);
    struct link *link = NULL;
    if (host == NULL)
        return -ENOMEM;
    pirn_http_pool_sweep(client, false);
    int err = pirn_semaphore_acquire(&host->places, deadline);
    if (err == 0) {
        link = kept ? take_kept(client, host) : NULL;
        if (link != NULL)
            link->reused = true;
        else
            err = make_link(client, host, &link, deadline);
        if (err == 0) {
            *ret_link = link;
            return 0;
        }
        pirn_semaphore_release(&host->places, 1);
    }
    pthread_mutex_lock(&client->lock);
    host_drop(client, host);
    pthread_mutex_unlock(&client->lock);
    return err;
}

/* False: the client is over. */
static bool keep(pirn_http_client *client, struct link *link)
{
    pthread_mutex_lock(&client->lock);
    bool over = client->over;
    if (!over) {
        link->idle_since = pirn_now();
        link_kept(client, link);
        link->host->users++;
    }
    pthread_mutex_unlock(&client->lock);
    return !over;
}

void pirn_http_pool_give(pirn_http_client *client, struct link *link, bool reusable)
{
    struct host *host = link->host;
    if (!reusable || client->config.max_idle <= 0 || !keep(client, link))
        close_link(link);
    /* Only now: who waits for a place would find no connection, and make one too many. */
    pirn_semaphore_release(&host->places, 1);
    pthread_mutex_lock(&client->lock);
    host_drop(client, host);
    pthread_mutex_unlock(&client->lock);
    pirn_http_pool_sweep(client, false);
}
