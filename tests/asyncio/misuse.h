/*
 * Mistakes, one function for each, and what is checked of every one: its errno; in debug mode one
 * line, which names the task (or the thread), the call and the errno, and says what was wrong;
 * without it none. And nothing aborts.
 */
#ifndef PIRN_TESTS_ASYNCIO_MISUSE_H
#define PIRN_TESTS_ASYNCIO_MISUSE_H

#include "tests/support.h"

#include <stdio.h>

#define NO_COROUTINE "there is no coroutine here, but a plain thread"
#define NO_RUNTIME "a plain thread is in no runtime, and none is given"
#define A_NULL "an argument is NULL that has to be given"

enum misuse_where {
    IN_COROUTINE = 1,
    ON_THREAD = 2,
    ANYWHERE = 3
};

struct misuse {
    const char *call;
    int rc;
    const char *why;
    int (*fn)(
        void); /* makes the mistake, in a task named "culprit", and returns what the call gave */
    enum misuse_where where;
};

/* One line, and all is in it. task: NULL for a thread. */
static inline void misuse_check_line(const struct misuse *m, const char *task, const char *text)
{
    char words[256];
    snprintf(words, sizeof(words), " misused %s: %s: %s\n", m->call, strerrorname_np(-m->rc),
             m->why);
    const char *found = strstr(text, words);
    if (found == NULL || found[strlen(words)] != '\0' || strchr(text, '\n')[1] != '\0')
        support_fail(__FILE__, __LINE__, m->call, "'%s' is not the one line '%s'", text, words);
    if (strstr(text, task != NULL ? task : "thread ") == NULL)
        support_fail(__FILE__, __LINE__, m->call, "'%s' names nobody", text);
}

/* ---- In coroutines ----------------------------------------------------------------------- */

static inline int misuse_commit(void *arg)
{
    const struct misuse *m = arg;
    CHECK_EQ(m->fn(), m->rc);
    return 0;
}

struct misuses {
    const struct misuse *list;
    size_t n;
    support_report *report;
    bool told;
};

static inline int misuse_commit_all(void *arg)
{
    const struct misuses *all = arg;
    for (size_t i = 0; i < all->n; i++) {
        const struct misuse *m = &all->list[i];
        size_t before = all->report->used;
        if ((m->where & IN_COROUTINE) == 0)
            continue;
        CHECK_OK(support_join(support_spawn_named("culprit", misuse_commit, (void *)m)));
        if (all->told)
            misuse_check_line(m, "task culprit ", all->report->text + before);
        else
            CHECK_EQ(all->report->used, before);
    }
    return 0;
}

static inline void misuse_in_coroutines(const struct misuse *list, size_t n)
{
    FOR_WORKERS(w)
    for (int debug = 0; debug < 2; debug++) {
        support_report report = SUPPORT_REPORT_INIT;
        struct misuses all = {list, n, &report, debug != 0};
        pirn_config config = support_reporting(w, &report);
        config.flags = debug ? PIRN_DEBUG : 0;
        config.slow_step.ns = 3600 * 1000 * MS;
        CHECK_OK(support_run_with(&config, misuse_commit_all, &all));
    }
}

/* ---- On plain threads -------------------------------------------------------------------- */

/* What goes to stderr meanwhile. */
static inline void misuse_stderr(const struct misuse *m, char *ret_text, size_t size)
{
    int saved = dup(2);
    FILE *file = tmpfile();
    CHECK(file != NULL && saved >= 0);
    CHECK_EQ(dup2(fileno(file), 2), 2);
    int rc = m->fn();
    CHECK_EQ(dup2(saved, 2), 2);
    CHECK_OK(close(saved));
    CHECK_EQ(rc, m->rc);
    rewind(file);
    ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
    CHECK_OK(fclose(file));
}

static inline void misuse_on_this_thread(const struct misuse *list, size_t n, bool told)
{
    char text[512];
    for (size_t i = 0; i < n; i++) {
        if ((list[i].where & ON_THREAD) == 0)
            continue;
        misuse_stderr(&list[i], text, sizeof(text));
        if (told)
            misuse_check_line(&list[i], NULL, text);
        else
            CHECK_EQ(strlen(text), 0);
    }
}

/* Told while there is a runtime in debug mode, or the environment asks for it. */
static inline void misuse_on_threads(const struct misuse *list, size_t n)
{
    pirn_config config = PIRN_CONFIG_INIT;
    pirn_runtime *runtime;
    config.flags = PIRN_DEBUG;
    misuse_on_this_thread(list, n, false);
    CHECK_OK(pirn_runtime_new(&runtime, &config));
    misuse_on_this_thread(list, n, true);
    CHECK_OK(pirn_runtime_free(runtime));
    misuse_on_this_thread(list, n, false);
    CHECK_OK(setenv("PIRN_DEBUG", "1", 1));
    misuse_on_this_thread(list, n, true);
    CHECK_OK(unsetenv("PIRN_DEBUG"));
}

#endif
