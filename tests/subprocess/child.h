/* What the tests of child processes share. */
#ifndef PIRN_TESTS_SUBPROCESS_CHILD_H
#define PIRN_TESTS_SUBPROCESS_CHILD_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/support.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A field of /proc/PID/stat after the name: 0 is the state's letter, 1 the parent; -1: there is
 * none. */
static inline long child_stat(pid_t pid, int field)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    char *at = strrchr(text, ')') + 2;
    for (int i = 0; i < field; i++)
        at = strchr(at, ' ') + 1;
    return field == 0 ? *at : strtol(at, NULL, 10);
}

/* The children of this process, zombies included. */
static inline int children(void)
{
    DIR *dir = opendir("/proc");
    struct dirent *e;
    int n = 0;
    CHECK(dir != NULL);
    while ((e = readdir(dir)) != NULL) {
        pid_t pid = (pid_t)atoi(e->d_name);
        n += pid > 0 && child_stat(pid, 1) == (long)getpid();
    }
    closedir(dir);
    return n;
}

static inline void until_children(int n)
{
    while (children() > n)
        support_pause_ms(1);
    CHECK_EQ(children(), n);
}

static inline bool is_gone(pid_t pid)
{
    return child_stat(pid, 1) != (long)getpid();
}

/* It has ended, and nobody has reaped it yet. */
static inline void until_zombie(pid_t pid)
{
    while (child_stat(pid, 0) != 'Z')
        support_pause_ms(1);
}

static inline pirn_process *start(const char *const argv[], const pirn_process_config *config)
{
    pirn_process *p;
    CHECK_OK(pirn_process_spawn(&p, argv, config, PIRN_NEVER));
    return p;
}

static inline pirn_process *start_shell(const char *command, const pirn_process_config *config)
{
    pirn_process *p;
    CHECK_OK(pirn_process_shell(&p, command, config, PIRN_NEVER));
    return p;
}

static inline int wait_for(pirn_process *p)
{
    int status = -1000;
    CHECK_OK(pirn_process_wait(p, &status, PIRN_NEVER));
    return status;
}

/* Everything up to the end of a descriptor, which is closed. */
static inline size_t slurp(int fd, char *buf, size_t n)
{
    size_t got = 0;
    for (;;) {
        ssize_t r = pirn_read(fd, buf + got, n - 1 - got, PIRN_NEVER);
        CHECK_GE(r, 0);
        if (r == 0)
            break;
        got += (size_t)r;
    }
    buf[got] = '\0';
    close(fd);
    return got;
}

/* Runs it with its output in a pipe of our own, and reads that; returns its status. */
static inline int output_of(const char *const argv[], pirn_process_config *config, char *buf,
                            size_t n)
{
    int pipe[2];
    support_pipe(pipe);
    config->out = pipe[1];
    pirn_process *p = start(argv, config);
    close(pipe[1]);
    slurp(pipe[0], buf, n);
    int status = wait_for(p);
    pirn_process_release(p);
    return status;
}

#endif
