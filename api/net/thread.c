/*
 * Names by the libc: getaddrinfo and getnameinfo in a job of the default thread pool.
 *
 * The libc cannot be stopped. So question and answer are on the heap, the job's own, and who gives
 * up cancels the job and goes: one that has not begun never will, one that runs drops its answer
 * when it is through. (Not the runtime's pool of pirn_blocking(): that waits for what has begun,
 * also at the end of the runtime.)
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "api/net/net.h"

/* The job's argument. */
struct lookup {
    pirn_address address;
    int family, type;
    uint16_t port;
    char host[]; /* "": the name of address is wanted */
};

static void drop_answer(void *value)
{
    struct answer *answer = value;
    free(answer->list.items);
    free(answer->name);
    free(answer);
}

/* noinline: errno is read here and nowhere in a coroutine */
static __attribute__((noinline)) int error_of(int code)
{
    switch (code) {
    case 0:
        return 0;
    case EAI_NONAME:
        return -ENOENT;
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENODATA;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_FAIL:
        return -EPROTO;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_FAMILY:
        return -EAFNOSUPPORT;
    case EAI_SYSTEM:
        return errno != 0 ? -errno : -EPROTO;
    default:
        return -EINVAL;
    }
}

static int find_addresses(const struct lookup *l, struct answer *answer)
{
    struct addrinfo hints = {.ai_family = l->family, .ai_socktype = l->type}, *found = NULL;
    int rc = error_of(getaddrinfo(l->host, NULL, &hints, &found));
    if (rc != 0)
        return rc;
    for (struct addrinfo *a = found; a != NULL && rc == 0; a = a->ai_next)
        rc = pirn_addresses_add(&answer->list, a->ai_addr, l->port);
    freeaddrinfo(found);
    return rc;
}

static int find_name(const struct lookup *l, struct answer *answer)
{
    char name[NI_MAXHOST];
    int rc = error_of(getnameinfo(&l->address.addr.any, l->address.len, name, sizeof(name), NULL, 0,
                                  NI_NAMEREQD));
    if (rc != 0)
        return rc;
    answer->name = strdup(name);
    return answer->name != NULL ? 0 : -ENOMEM;
}

/* The job. Its value is the answer. */
static int look_up(void *arg)
{
    const struct lookup *l = arg;
    struct answer *answer = calloc(1, sizeof(*answer));
    if (answer == NULL)
        return -ENOMEM;
    int rc = l->host[0] != '\0' ? find_addresses(l, answer) : find_name(l, answer);
    if (rc == 0)
        rc = pirn_set_value(answer, drop_answer);
    if (rc != 0)
        drop_answer(answer);
    return rc;
}

static int submit(const struct question *question, pirn_job **ret_job)
{
    pirn_job_config config = PIRN_JOB_CONFIG_INIT;
    const char *host = question->host != NULL ? question->host : "";
    size_t size = strlen(host) + 1;
    struct lookup *l = calloc(1, sizeof(*l) + size);
    if (l == NULL)
        return -ENOMEM;
    memcpy(l->host, host, size);
    l->family = question->family;
    l->type = question->type;
    l->port = question->port;
    if (question->address != NULL)
        l->address = *question->address;
    config.arg_drop = free;
    int rc = pirn_thread_pool_submit_with(NULL, ret_job, &config, look_up, l);
    if (rc != 0 && rc != -ESHUTDOWN)
        free(l);
    return rc;
}

int pirn_net_ask_thread(const struct question *question, struct answer *ret_answer,
                        pirn_time deadline)
{
    pirn_job *job;
    int status, rc = submit(question, &job);
    if (rc != 0)
        return rc;
    rc = pirn_await(job, &status, deadline);
    if (rc != 0)
        pirn_cancel(job, "nobody waits for the name any more");
    else
        rc = status == -ECANCELED ? -ESHUTDOWN : status; /* the pool was closed by force */
    if (rc == 0) {
        struct answer *answer = pirn_value(job);
        *ret_answer = *answer;
        *answer = (struct answer){0};
    }
    pirn_release(job);
    return rc;
}
