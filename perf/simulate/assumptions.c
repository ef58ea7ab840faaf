/*
 * The assumptions' values, and their names; see assumptions.h.
 */
#include "perf/simulate/assumptions.h"

#include <stddef.h>
#include <string.h>

struct assumptions assume = {
    .step_ps = 170,
    .atomic_ps = 4500,
    .line_ns = 120,
    .far_line_ns = 250,
    .cpus_near = 128,
    .read_ns = 5,
    .pause_ns = 24,
    .clock_ns = 22,
    .malloc_ns = 33,
    .call_ns = 120,
    .wake_ns = 3500,
    .wake_call_ns = 1500,
    .sleep_ns = 700,
    .timer_ns = 700,
    .fence_ns = 290,
    .fence_first_ns = 4000,
    .fence_more_ns = 100,
    .interrupt_ns = 1000,
};

bool assume_set(const char *name, int64_t value)
{
    const struct {
        const char *name;
        int64_t *is;
    } all[] = {
        {"step_ps", &assume.step_ps},           {"atomic_ps", &assume.atomic_ps},
        {"line_ns", &assume.line_ns},           {"far_line_ns", &assume.far_line_ns},
        {"cpus_near", &assume.cpus_near},       {"read_ns", &assume.read_ns},
        {"pause_ns", &assume.pause_ns},         {"clock_ns", &assume.clock_ns},
        {"malloc_ns", &assume.malloc_ns},       {"call_ns", &assume.call_ns},
        {"wake_ns", &assume.wake_ns},           {"wake_call_ns", &assume.wake_call_ns},
        {"sleep_ns", &assume.sleep_ns},         {"timer_ns", &assume.timer_ns},
        {"fence_ns", &assume.fence_ns},         {"fence_first_ns", &assume.fence_first_ns},
        {"interrupt_ns", &assume.interrupt_ns}, {"fence_more_ns", &assume.fence_more_ns},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(all[i].name, name) == 0) {
            *all[i].is = value;
            return true;
        }
    }
    return false;
}
