/*
 * Two children with names, waited for together; then each one's result and name.
 *
 * Python forgets the await before its wait, and gets no sets; this is what was meant. A set has no
 * order there. Here ret_done tells of each task at its place, so the order is that of the array.
 */
#include "seeds.h"

enum {
    CHILDREN = 2
};

static int nested(void *arg)
{
    (void)arg;
    int err = pirn_sleep(after(1));
    return err < 0 ? err : 32;
}

static int start(void *arg)
{
    const char *names[CHILDREN] = {"task-a", "task-b"};
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_task *tasks[CHILDREN];
    bool done[CHILDREN];
    char name[32];

    printf("%s start\n", (const char *)arg);
    for (int i = 0; i < CHILDREN; i++) {
        config.name = names[i];
        must(pirn_spawn_with(&tasks[i], &config, nested, NULL));
    }
    must(pirn_wait(tasks, CHILDREN, PIRN_ALL_COMPLETED, done, NULL, PIRN_NEVER));
    for (int i = 0; i < CHILDREN; i++) {
        if (done[i]) {
            pirn_name(tasks[i], name, sizeof(name));
            printf("%d %s\n", pirn_status(tasks[i]), name);
        }
        pirn_release(tasks[i]);
    }
    return 0;
}

int main(void)
{
    return report(pirn_run(start, "job"));
}
