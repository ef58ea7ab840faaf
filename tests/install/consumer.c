/* The least program that needs the whole library: two tasks, one of them awaited. */
#include <pirn.h>

static int child(void *arg)
{
    int err = pirn_sleep(pirn_after_ms(1));
    return err < 0 ? err : *(int *)arg * 2;
}

static int start(void *arg)
{
    int number = 21;
    int status = -1;
    pirn_task *task;
    int err = pirn_spawn(&task, child, &number);
    (void)arg;
    if (err == 0) {
        err = pirn_join(task, &status, PIRN_NEVER);
    }
    return err < 0 ? err : status;
}

int main(void)
{
    int answer = pirn_run(start, NULL);
    printf("the answer is %d\n", answer);
    return answer != 42;
}
