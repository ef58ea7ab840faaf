/*
 * A page is fetched under a lock and kept in a cache, and goes through a queue to a second
 * coroutine.
 *
 * The fetch is pretended: it takes half a second, and says when it is made (Python's request is
 * never awaited, so it makes none). A third coroutine asks for the same page at the same time, and
 * is served from the cache. Python's listing shows a way with acquire and release, too, which
 * returns from the cache with the lock held; a guard lets it go on every return.
 */
#include "seeds.h"

static pirn_mutex lock = PIRN_MUTEX_INIT;
static const char *cached_url, *cached_page; /* under the lock */

static int request(const char *url, const char **ret_page)
{
    printf("request for %s\n", url);
    int err = pirn_sleep(after(0.5));
    if (err < 0)
        return err;
    *ret_page = "<html>";
    return 0;
}

static int get_html(const char *url, const char **ret_page)
{
    PIRN_GUARD_MUTEX(guard, &lock, PIRN_NEVER);
    if (guard.error != 0)
        return guard.error;
    if (cached_url != NULL && strcmp(cached_url, url) == 0) {
        *ret_page = cached_page;
        return 0;
    }
    int err = request(url, ret_page);
    if (err != 0)
        return err;
    cached_url = url;
    cached_page = *ret_page;
    return 0;
}

struct job {
    const char *url;
    pirn_queue *queue;
};

static int parse_html(void *arg)
{
    const struct job *job = arg;
    const char *page;
    int err = get_html(job->url, &page);
    if (err != 0)
        return err;
    printf("from the network ==> %s\n", page);
    return job->queue != NULL ? pirn_queue_put(job->queue, &page, PIRN_NEVER) : 0;
}

static int use_html(void *arg)
{
    const struct job *job = arg;
    const char *page;
    int err = pirn_queue_get(job->queue, &page, PIRN_NEVER);
    if (err != 0)
        return err;
    printf("from the queue ==> %s\n", page);
    return 0;
}

static int start(void *arg)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    struct job jobs[2] = {{"http://www.example.com", NULL}, {"http://www.example.com", NULL}};
    pirn_scope *scope;
    (void)arg;
    config.elem_size = sizeof(const char *);
    must(pirn_queue_new(&jobs[0].queue, &config));
    must(pirn_scope_open(&scope, 0));
    must(pirn_scope_spawn(scope, use_html, &jobs[0], PIRN_NEVER));
    must(pirn_scope_spawn(scope, parse_html, &jobs[0], PIRN_NEVER));
    must(pirn_scope_spawn(scope, parse_html, &jobs[1], PIRN_NEVER));
    int rc = pirn_scope_close(scope, PIRN_NEVER);
    pirn_queue_release(jobs[0].queue);
    return rc;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
