/*
 * Two coroutines that each call another one for their I/O: it takes a second and gives them a text.
 *
 * To await a coroutine in place is an ordinary function call here: whatever suspends below, the
 * caller waits, and any function may do it. The two run in parallel, so their lines interleave
 * freely; those of each come in order.
 */
#include "seeds.h"

/* (async def recv(name): what it returns goes to ret_text.) */
static int receive(const char *name, char *ret_text, size_t size)
{
    printf("%s I/O begins\n", name);
    int err = pirn_sleep(after(1));
    if (err < 0)
        return err;
    printf("%s I/O ends\n", name);
    snprintf(ret_text, size, "%s-hello", name);
    return 0;
}

static int talk(void *arg)
{
    const char *name = arg;
    char data[32];
    printf("%s start\n", name);
    int err = receive(name, data, sizeof(data));
    if (err < 0)
        return err;
    printf("%s %s\n", name, data);
    printf("%s end\n", name);
    return 0;
}

static int both(void *arg)
{
    pirn_task *tasks[2];
    (void)arg;
    must(pirn_spawn(&tasks[0], talk, "f1"));
    must(pirn_spawn(&tasks[1], talk, "f2"));
    must(pirn_wait(tasks, 2, PIRN_ALL_COMPLETED, NULL, NULL, PIRN_NEVER));
    pirn_release(tasks[0]);
    pirn_release(tasks[1]);
    return 0;
}

int main(void)
{
    return report(pirn_run(both, NULL));
}
