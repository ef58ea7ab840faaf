/* How late the machine is (see tests/support.h). */
#include "tests/support.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

/* How long the threads of this process have waited for a core so far; 0 if the kernel does not say. */
static int64_t waited_for_core(void)
{
    int64_t sum = 0;
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[64];
        long long waited;
        snprintf(path, sizeof(path), "/proc/self/task/%.10s/schedstat", e->d_name);
        FILE *file = e->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (file == NULL)
            continue;
        if (fscanf(file, "%*d %lld", &waited) == 1)
            sum += waited;
        fclose(file);
    }
    closedir(dir);
    return sum;
}

static void *tick(void *arg)
{
    support_control *c = arg;
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    while (!atomic_load(&c->over)) {
        int64_t due = support_now() + MS, late;
        struct timespec until = {due / (1000 * MS), due % (1000 * MS)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {}
        late = support_now() - due;
        if (late > MS)
            atomic_fetch_add(&c->late, late);
        if (late > atomic_load(&c->worst))
            atomic_store(&c->worst, late);
    }
    return NULL;
}

void support_control_begin(support_control *c)
{
    atomic_init(&c->over, 0);
    atomic_init(&c->late, 0);
    atomic_init(&c->worst, 0);
    c->waited = waited_for_core();
    c->thread = support_thread(tick, c);
}

int64_t support_control_late(support_control *c)
{
    int64_t more = waited_for_core() - c->waited; /* less, if threads have ended */
    return atomic_load(&c->late) + (more > 0 ? more : 0);
}

void support_control_end(support_control *c)
{
    atomic_store(&c->over, 1);
    support_thread_join(c->thread);
}
