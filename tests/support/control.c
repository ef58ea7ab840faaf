/* How late the machine is (see tests/support.h). */
#include "tests/support.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

/* How long that thread has waited for a core so far; 0 if the kernel does not say. */
static int64_t waited_for_core(const char *tid)
{
    char path[64];
    long long waited = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%.10s/schedstat", tid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*d %lld", &waited) != 1)
        waited = 0;
    fclose(file);
    return waited;
}

/* How much longer than before a thread of this process has waited for one, the one with the
 * most. */
static int64_t longest_wait(const support_control *c)
{
    int64_t longest = 0;
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        int64_t waited = waited_for_core(e->d_name);
        for (int i = 0; i < c->known; i++)
            if (c->before[i].tid == atoi(e->d_name))
                waited -= c->before[i].waited;
        longest = waited > longest ? waited : longest;
    }
    closedir(dir);
    return longest;
}

static void look_at_threads(support_control *c)
{
    DIR *dir = opendir("/proc/self/task");
    c->known = 0;
    if (dir == NULL)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL && c->known < SUPPORT_CONTROL_THREADS;) {
        if (e->d_name[0] == '.')
            continue;
        c->before[c->known].tid = atoi(e->d_name);
        c->before[c->known++].waited = waited_for_core(e->d_name);
    }
    closedir(dir);
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
    look_at_threads(c);
    c->thread = support_thread(tick, c);
}

int64_t support_control_late(support_control *c)
{
    return atomic_load(&c->late) + longest_wait(c);
}

int64_t support_control_worst(support_control *c)
{
    return atomic_load(&c->worst);
}

void support_control_end(support_control *c)
{
    atomic_store(&c->over, 1);
    support_thread_join(c->thread);
}
