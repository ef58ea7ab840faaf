/* A task that says Hi, and is waited for. */
#include "seeds.h"

static int say(void *arg)
{
    (void)arg;
    printf("Hi\n");
    return 0;
}

static int start(void *arg)
{
    pirn_task *task;
    (void)arg;
    must(pirn_spawn(&task, say, NULL));
    return must(pirn_join(task, NULL, PIRN_NEVER));
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
