/*
 * Names by the libc on a thread. This program has a getaddrinfo of its own, which the library is
 * linked to: it can be held, and is counted.
 */
#include "tests/support.h"

#include <arpa/inet.h>
#include <netdb.h>

static atomic_int calls, inside, release_it, freed;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    CHECK(pirn_current() == NULL && pirn_on_worker() == 0); /* no worker waits for it */
    CHECK(service == NULL);
    atomic_fetch_add(&calls, 1);
    if (strcmp(host, "held") == 0) {
        atomic_fetch_add(&inside, 1);
        while (!atomic_load(&release_it))
            support_pause_ms(1);
        atomic_fetch_sub(&inside, 1);
    }
    if (strncmp(host, "eai", 3) == 0)
        return -atoi(host + 3);
    struct {
        struct addrinfo info;
        struct sockaddr_in in;
    } *list = calloc(2, sizeof(*list));
    CHECK(list);
    for (int i = 0; i < 2; i++) {
        list[i].in.sin_family = AF_INET;
        list[i].in.sin_addr.s_addr = htonl(0x7f000001 + (uint32_t)i);
        list[i].info.ai_family = AF_INET;
        list[i].info.ai_socktype = hints->ai_socktype;
        list[i].info.ai_addr = (struct sockaddr *)&list[i].in;
        list[i].info.ai_addrlen = sizeof(list[i].in);
    }
    list[0].info.ai_next = &list[1].info;
    *ret_list = &list[0].info;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    atomic_fetch_add(&freed, 1);
    free(list);
}

int getnameinfo(const struct sockaddr *addr, socklen_t len, char *ret_host, socklen_t host_size,
                char *ret_service, socklen_t service_size, int flags)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
    CHECK(pirn_current() == NULL && pirn_on_worker() == 0);
    CHECK(len == sizeof(*in) && ret_service == NULL && service_size == 0 && flags == NI_NAMEREQD);
    if (ntohl(in->sin_addr.s_addr) != 0x7f000009)
        return EAI_NONAME;
    CHECK(host_size > 9);
    memcpy(ret_host, "nine.test", 10);
    return 0;
}

static int look_up_until(const char *host, pirn_time deadline)
{
    pirn_resolve_config config = PIRN_RESOLVE_CONFIG_INIT;
    pirn_address *list = NULL;
    config.flags = PIRN_RESOLVE_THREAD;
    int rc = pirn_resolve(host, "80", &config, &list, deadline);
    CHECK_EQ(rc > 0, list != NULL);
    for (int i = 0; i < rc; i++) {
        CHECK_EQ(list[i].len, sizeof(struct sockaddr_in));
        CHECK_EQ(ntohl(list[i].addr.in.sin_addr.s_addr), 0x7f000001 + i);
        CHECK_EQ(ntohs(list[i].addr.in.sin_port), 80);
    }
    pirn_addresses_free(list);
    return rc;
}

static int look_up(void *arg)
{
    return look_up_until(arg, PIRN_NEVER);
}

static void *set_release(void *arg)
{
    (void)arg;
    support_pause_ms(2);
    atomic_store(&release_it, 1);
    return NULL;
}

static void answers(void)
{
    static const int codes[][2] = {{EAI_NONAME, -ENOENT},      {EAI_NODATA, -ENODATA},
                                   {EAI_ADDRFAMILY, -ENODATA}, {EAI_AGAIN, -EAGAIN},
                                   {EAI_FAIL, -EPROTO},        {EAI_MEMORY, -ENOMEM},
                                   {EAI_FAMILY, -EAFNOSUPPORT}};
    char host[16];
    int before = atomic_load(&calls);
    CHECK_EQ(look_up((void *)"127.0.0.1"), 1);
    CHECK_EQ(atomic_load(&calls), before); /* a number: no thread */
    CHECK_EQ(look_up((void *)"name"), 2);
    CHECK_EQ(atomic_load(&calls), before + 1);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        snprintf(host, sizeof(host), "eai%d", -codes[i][0]);
        CHECK_EQ(look_up(host), codes[i][1]);
    }
    pthread_t thread = support_thread(set_release, NULL);
    CHECK_EQ(look_up((void *)"held"), 2);
    support_thread_join(thread);
    atomic_store(&release_it, 0);
}

static void names(void)
{
    pirn_resolve_config config = PIRN_RESOLVE_CONFIG_INIT;
    pirn_address *list;
    char name[10] = "";
    config.flags = PIRN_RESOLVE_THREAD;
    CHECK_EQ(pirn_resolve("127.0.0.9", NULL, NULL, &list, PIRN_NEVER), 1);
    CHECK_EQ(pirn_resolve_name(list, &config, name, sizeof(name), PIRN_NEVER), 9);
    CHECK(strcmp(name, "nine.test") == 0);
    CHECK_EQ(pirn_resolve_name(list, &config, name, 9, PIRN_NEVER), -ENOSPC);
    list->addr.in.sin_addr.s_addr = htonl(0x7f000008);
    CHECK_EQ(pirn_resolve_name(list, &config, name, sizeof(name), PIRN_NEVER), -ENOENT);
    pirn_addresses_free(list);
}

START_TEST(a154_by_the_libc)
{
    support_everywhere(answers);
    support_everywhere(names);
}
END_TEST

/* Stopped while getaddrinfo is under way: at once. What it finds later is freed. */
static int stopped(void *arg)
{
    (void)arg;
    int before = atomic_load(&freed);
    CHECK_EQ(look_up_until("held", pirn_after_ms(2)), -ETIMEDOUT);
    pirn_task *task = support_spawn(look_up, (void *)"held");
    support_until(&inside, 1);
    CHECK_OK(pirn_cancel(task, NULL));
    CHECK_EQ(support_join(task), -ECANCELED);
    CHECK_EQ(atomic_load(&freed), before);
    CHECK_GE(atomic_load(&inside), 1); /* it goes on */
    atomic_store(&release_it, 1);
    while (atomic_load(&inside) != 0)
        CHECK_OK(pirn_sleep(pirn_after_ms(1)));
    CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
    CHECK_GE(atomic_load(&freed), before + 1);
    atomic_store(&release_it, 0);
    return 0;
}

START_TEST(a154_stopped_at_once)
{
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, stopped, NULL));
}
END_TEST

/* The pool's only thread is taken: a number needs none, a name waits, and one that is given up in
 * the queue never runs. */
static int queued(void *arg)
{
    pirn_address *list;
    (void)arg;
    int before = atomic_load(&calls);
    pirn_task *first = support_spawn(look_up, (void *)"held");
    support_until(&inside, 1);
    CHECK_EQ(look_up((void *)"127.0.0.1"), 1);
    CHECK_EQ(pirn_resolve("fe80::1%lo", "80", NULL, &list, PIRN_NEVER), 1);
    pirn_addresses_free(list);
    pirn_task *second = support_spawn(look_up, (void *)"name");
    CHECK_EQ(look_up_until("name", pirn_after_ms(2)), -ETIMEDOUT);
    support_until_waiting(second);
    CHECK_OK(pirn_cancel(second, NULL));
    CHECK_EQ(support_join(second), -ECANCELED);
    atomic_store(&release_it, 1);
    CHECK_EQ(support_join(first), 2);
    CHECK_EQ(look_up((void *)"name"), 2);
    CHECK_EQ(atomic_load(&calls), before + 2);
    atomic_store(&release_it, 0);
    return 0;
}

START_TEST(a154_numbers_need_no_thread)
{
    FOR_WORKERS(w)
    {
        pirn_thread_pool *pool;
        CHECK_OK(pirn_thread_pool_new(&pool, 1));
        pirn_thread_pool_set_default(pool);
        CHECK_OK(support_run(w, queued, NULL));
        pirn_thread_pool_set_default(NULL);
        CHECK_OK(pirn_thread_pool_close(pool, PIRN_NEVER));
    }
}
END_TEST

/* The runtime does not wait for the libc, and the libc's thread does not need the runtime. */
static int leaves_it(void *arg)
{
    (void)arg;
    pirn_detach(support_spawn(look_up, (void *)"held"));
    support_until(&inside, 1);
    return 0;
}

START_TEST(a154_the_runtime_ends_meanwhile)
{
    FOR_WORKERS(w)
    {
        CHECK_OK(support_run(w, leaves_it, NULL));
        CHECK_EQ(atomic_load(&inside), 1);
        atomic_store(&release_it, 1);
        CHECK_OK(pirn_thread_pool_close(NULL, PIRN_NEVER));
        CHECK_EQ(atomic_load(&inside), 0);
        atomic_store(&release_it, 0);
    }
}
END_TEST

SUPPORT_MAIN("resolve_thread", a154_by_the_libc, a154_stopped_at_once, a154_numbers_need_no_thread,
             a154_the_runtime_ends_meanwhile)
