/*
 * Fault injection, compiled in hard builds only. The syntax is described in sys.c.
 *
 * The rules are read once, from the environment, before the first system call that asks, and do not
 * change after that, so looking needs no lock. Each rule counts the calls that reach it; which of
 * them fail depends on the count, the rule's number and the seed alone: one thread making the same
 * calls sees the same failures. A random generator per thread was rejected for that reason.
 *
 * A rule that cannot be read ends the process: a test that asks for faults and silently gets none
 * would pass for nothing.
 */
#include "io/fault.h"

#ifdef PIRN_HARD

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULES_MAX 32
#define NAME_MAX_BYTES 32

enum mode {
    ALWAYS,
    ONE_IN,
    EXACTLY,
    FROM
};

struct rule {
    char name[NAME_MAX_BYTES];
    int error; /* positive */
    enum mode mode;
    uint64_t n;
    _Atomic uint64_t calls; /* any thread, relaxed: a counter */
    _Atomic uint64_t fired; /* any thread, relaxed: a counter */
};

static struct rule rules[RULES_MAX]; /* all but the counters: written in pirn_fault_set only */
static unsigned rule_count;
static uint64_t rule_seed;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint64_t mix(uint64_t x) /* splitmix64 */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static int error_of(const char *word)
{
    char *end;
    long number = strtol(word, &end, 10);
    if (*word && !*end)
        return number > 0 && number < 4096 ? (int)number : 0;
    for (int e = 1; e < 4096; e++) {
        const char *name = strerrorname_np(e);
        if (name && strcmp(name, word) == 0)
            return e;
    }
    return 0;
}

/* A count from 1 up, and where it ended; 0: none. */
static uint64_t parse_count(const char *text, char **end)
{
    *end = (char *)text;
    return *text >= '0' && *text <= '9' ? strtoull(text, end, 10) : 0;
}

static bool parse_when(const char *when, struct rule *rule)
{
    char *end;
    if (strncmp(when, "1/", 2) == 0) {
        rule->mode = ONE_IN;
        rule->n = parse_count(when + 2, &end);
        return rule->n > 0 && !*end;
    }
    if (when[0] != '@')
        return false;
    rule->mode = EXACTLY;
    rule->n = parse_count(when + 1, &end);
    if (*end == '+') {
        rule->mode = FROM;
        end++;
    }
    return rule->n > 0 && !*end;
}

static bool parse_rule(char *text, struct rule *rule)
{
    const char *name = strsep(&text, ":");
    const char *error = strsep(&text, ":");
    const char *when = strsep(&text, ":");
    if (!*name || strlen(name) >= NAME_MAX_BYTES || !error || text)
        return false;
    memcpy(rule->name, name, strlen(name) + 1);
    rule->error = error_of(error);
    rule->mode = ALWAYS;
    return rule->error > 0 && (!when || parse_when(when, rule));
}

static int set_rules(const char *spec, uint64_t seed)
{
    memset(rules, 0, sizeof(rules));
    rule_count = 0;
    rule_seed = seed;
    if (!spec || !*spec)
        return 0;
    char *copy = strdup(spec);
    if (!copy)
        return -ENOMEM;
    char *rest = copy;
    unsigned count = 0;
    bool good = true;
    for (; rest && good; count++)
        good = count < RULES_MAX && parse_rule(strsep(&rest, ","), &rules[count]);
    free(copy);
    if (!good)
        return -EINVAL;
    rule_count = count;
    return 0;
}

static void read_environment(void)
{
    const char *seed = getenv("PIRN_FAULT_SEED");
    const char *spec = getenv("PIRN_FAULT");
    if (set_rules(spec, seed ? strtoull(seed, NULL, 0) : 1) < 0) {
        fprintf(stderr, "pirn: PIRN_FAULT=%s: not understood\n", spec);
        _exit(2);
    }
}

int pirn_fault_set(const char *spec, uint64_t seed)
{
    pthread_once(&once, read_environment);
    return set_rules(spec, seed);
}

static bool fires(struct rule *rule, uint64_t salt)
{
    uint64_t call = atomic_fetch_add_explicit(&rule->calls, 1, memory_order_relaxed) + 1;
    switch (rule->mode) {
    case ALWAYS:
        return true;
    case ONE_IN:
        return mix(mix(rule_seed + salt) ^ call) % rule->n == 0;
    case EXACTLY:
        return call == rule->n;
    case FROM:
        return call >= rule->n;
    }
    return false;
}

int pirn_fault(const char *name)
{
    pthread_once(&once, read_environment);
    for (unsigned i = 0; i < rule_count; i++) {
        if (strcmp(rules[i].name, name) == 0 && fires(&rules[i], i)) {
            atomic_fetch_add_explicit(&rules[i].fired, 1, memory_order_relaxed);
            return -rules[i].error;
        }
    }
    return 0;
}

uint64_t pirn_fault_count(const char *name)
{
    uint64_t fired = 0;
    for (unsigned i = 0; i < rule_count; i++)
        if (strcmp(rules[i].name, name) == 0)
            fired += atomic_load_explicit(&rules[i].fired, memory_order_relaxed);
    return fired;
}

#else
typedef int pirn_fault_is_empty; /* ISO C wants a declaration */
#endif
