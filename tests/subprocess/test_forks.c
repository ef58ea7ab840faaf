/*
 * fork() while children are being spawned, read from and waited for: the program's forks, from a
 * plain thread. Their children make children of their own; in neither process does anything wait
 * for what is not there.
 */
#include "tests/subprocess/child.h"

enum {
    SPAWNERS = 4,
    SPAWNS = 10
};

static atomic_int over;

static int spawns(void *arg)
{
    (void)arg;
    for (int i = 0; i < SPAWNS; i++) {
        pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
        pirn_process_output output;
        config.in = config.out = PIRN_STDIO_PIPE;
        pirn_process *p = start(ARGV("cat"), &config);
        CHECK_OK(pirn_process_communicate(p, "to the cat", 10, &output, 0, PIRN_NEVER));
        CHECK_OK(output.status);
        CHECK_EQ(output.out_len, 10);
        free(output.out);
        pirn_process_release(p);
        p = start(ARGV("sleep", "1000"), NULL); /* ended by its release */
        pirn_process_release(p);
    }
    atomic_fetch_add(&over, 1);
    return 0;
}

static int own_child(void *arg)
{
    (void)arg;
    pirn_process *p = start(ARGV("true"), NULL);
    int status = wait_for(p);
    pirn_process_release(p);
    return status;
}

static void in_child(void)
{
    support_alarm(100);
    for (int i = 0; i < 2; i++)
        if (pirn_run(own_child, NULL) != 0)
            _exit(1);
    _exit(0);
}

static void *forks(void *arg)
{
    int *count = arg;
    while (atomic_load(&over) < SPAWNERS || *count == 0) {
        int status;
        pid_t pid = fork();
        CHECK_GE(pid, 0);
        if (pid == 0)
            in_child();
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        ++*count;
    }
    return NULL;
}

static int beside_forks(void *arg)
{
    pirn_task *tasks[SPAWNERS];
    int count = 0;
    (void)arg;
    atomic_store(&over, 0);
    pthread_t thread = support_thread(forks, &count);
    for (int i = 0; i < SPAWNERS; i++)
        tasks[i] = support_spawn(spawns, NULL);
    for (int i = 0; i < SPAWNERS; i++)
        CHECK_OK(support_join(tasks[i]));
    support_thread_join(thread);
    CHECK_GE(count, 1);
    until_children(0);
    return 0;
}

START_TEST(a168_beside_forks_of_the_program)
{
    support_census before = support_count();
    FOR_WORKERS(w)
    CHECK_OK(support_run(w, beside_forks, NULL));
    support_no_more_than(before);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {a168_beside_forks_of_the_program};
    if (support_tsan())
        return 77; /* it starts no thread in the child of a process that has several */
    if (support_asan())
        return 77; /* its allocator's locks may be held for ever in such a child */
    return support_main("subprocess/forks", tests, 1);
}
