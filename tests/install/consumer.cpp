// The header is valid C++, its macros and initialisers included, and a lambda can be a coroutine.
#include <cstdio>
#include <pirn.h>

static const pirn_config config = PIRN_CONFIG_INIT;
static const pirn_spawn_config spawn_config = PIRN_SPAWN_CONFIG_INIT;

int main()
{
    int answer = 0;
    int err = pirn_run_with(
        &config,
        [](void *) -> int {
            pirn_task *task;
            int status = -1;
            int e = pirn_spawn_with(
                &task, &spawn_config, [](void *) -> int { return 42; }, nullptr);
            if (e == 0)
                e = pirn_join(task, &status, PIRN_NEVER);
            return e < 0 ? e : status;
        },
        nullptr, &answer);
    std::printf("the answer is %d\n", err < 0 ? err : answer);
    return answer != 42;
}
