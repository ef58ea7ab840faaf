/*
 * A queue of ten jobs of a second each, and one consumer, which takes from it until it is empty.
 *
 * To look whether a queue is empty, and then get, is right only as long as nobody else gets: with
 * two consumers, in parallel, one may wait for ever. pirn_queue_try_get does both in one step.
 */
#include <errno.h>

#include "seeds.h"

static int consumer(pirn_queue *queue)
{
    int seconds, err;
    while ((err = pirn_queue_try_get(queue, &seconds)) == 0) {
        err = pirn_sleep(after(seconds));
        if (err < 0)
            return err;
        must(pirn_queue_task_done(queue));
        printf("job done\n");
    }
    printf("consumer() return\n");
    return err == -EAGAIN ? 0 : err;
}

static int producer(pirn_queue **ret_queue)
{
    pirn_queue_config config = PIRN_QUEUE_CONFIG_INIT;
    int second = 1, err = 0;
    config.elem_size = sizeof(second);
    config.maxsize = 30;
    must(pirn_queue_new(ret_queue, &config));
    for (int i = 0; i < 10 && err == 0; i++)
        err = pirn_queue_put(*ret_queue, &second, PIRN_NEVER);
    return err;
}

static int start(void *arg)
{
    pirn_queue *queue;
    (void)arg;
    int err = producer(&queue);
    if (err == 0)
        err = consumer(queue);
    if (err == 0)
        err = pirn_queue_join(queue, PIRN_NEVER);
    if (err == 0)
        printf("all jobs are done\n");
    pirn_queue_release(queue);
    return err;
}

int main(void)
{
    return report(pirn_run(start, NULL));
}
