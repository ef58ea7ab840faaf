/*
 * A file is read in a thread pool. Then a sum is computed in a process pool, while a coroutine says
 * that it runs meanwhile.
 *
 * For the sum no process is needed here: a coroutine that computes does not hold up the others. A
 * process is for what may crash. It is handed bytes and hands back bytes: the sum of the squares
 * below ten million, which does not fit into 64 bits.
 */
#include <errno.h>
#include <unistd.h>

#include "seeds.h"

enum {
    WORKERS = 4,
    BELOW = 10000000
};

static int blocking_io(void *arg)
{
    const char *path = arg;
    char text[256];
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return -errno;
    while (fgets(text, sizeof(text), f) != NULL)
        fputs(text, stdout);
    fclose(f);
    return 0;
}

static int cpu_bound(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_out_len)
{
    unsigned __int128 sum = 0;
    (void)in;
    (void)in_len;
    for (uint64_t i = 0; i < BELOW; i++)
        sum += i * i;
    if (out_cap < sizeof(sum))
        return -EMSGSIZE;
    memcpy(out, &sum, sizeof(sum));
    *ret_out_len = sizeof(sum);
    return 0;
}

static int before_cpu_bound(void *arg)
{
    (void)arg;
    printf("runs before cpu_bound() is through\n");
    return 0;
}

static void print_sum(const pirn_process_result *result)
{
    const uint64_t e18 = 1000000000000000000;
    unsigned __int128 sum;
    memcpy(&sum, result->bytes, sizeof(sum));
    printf("%llu%018llu\n", (unsigned long long)(sum / e18), (unsigned long long)(sum % e18));
}

/* (await loop.run_in_executor(thread_pool, ...)) */
static int read_in_a_thread(const char *path)
{
    pirn_thread_pool *thread_pool;
    pirn_job *job;
    int status;
    must(pirn_thread_pool_new(&thread_pool, WORKERS));
    must(pirn_thread_pool_submit(thread_pool, &job, blocking_io, (void *)path));
    must(pirn_join(job, &status, PIRN_NEVER));
    must(pirn_thread_pool_close(thread_pool, PIRN_NEVER));
    return status;
}

static int start(void *arg)
{
    pirn_process_pool *process_pool;
    pirn_awaitable *items[2], *both;
    int status = read_in_a_thread(arg);
    if (status < 0)
        return status;

    must(pirn_process_pool_new(&process_pool, WORKERS));
    must(pirn_process_submit(process_pool, &items[0], cpu_bound, NULL, 0, sizeof(__int128)));
    must(pirn_coroutine_new(&items[1], NULL, before_cpu_bound, NULL));
    must(pirn_gather(&both, items, 2, 0));
    must(pirn_join(both, &status, PIRN_NEVER));
    if (status == 0)
        print_sum(pirn_value(items[0]));
    pirn_release(items[0]);
    pirn_release(items[1]);
    must(pirn_process_pool_close(process_pool, PIRN_NEVER));
    return status;
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/seed-XXXXXX";
    must(pirn_process_helper_start()); /* while there is one thread */
    if (argc > 1)
        return report(pirn_run(start, argv[1]));

    int fd = mkstemp(path);
    if (fd < 0 || dprintf(fd, "what is in the file\nand its second line\n") < 0)
        must(-errno);
    close(fd);
    int rc = pirn_run(start, path);
    unlink(path);
    return report(rc);
}
