/*
 * Printing: whole texts to standard output, by turns. The turn is a mutex of pirn's, so who waits
 * for a slow reader, or for who does, is parked and not blocked. Once the first byte may be out the
 * text is written to its end, whatever cancels come.
 *
 * A fork's child has a turn of its own: its parent's may be taken, by somebody who did not come
 * along.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio_ext.h>
#include <string.h>

#include "api/format.h"
#include "api/transfer.h"

static pirn_mutex turn = PIRN_MUTEX_INIT;

static void renew(void)
{
    memset(&turn, 0, sizeof(turn));
}

static void install(void)
{
    pthread_atfork(NULL, NULL, renew);
}

/* Not inlined: errno's address is the thread's, and the caller may change threads. */
static __attribute__((noinline)) int flush_stdio(void)
{
    __asm__ volatile("");
    return fflush(stdout) == 0 ? 0 : -errno;
}

/* A pipe that says it has room takes at least as much as stdio holds for one; one that is full
 * would hold up the worker. */
static int flush_with_room(int fd)
{
    int rc = __fpending(stdout) != 0 ? pirn_poll(fd, POLLOUT, PIRN_NEVER) : 0;
    return rc < 0 ? rc : flush_stdio();
}

static int write_all(const char *text, size_t n)
{
    int fd = fileno(stdout), rc = flush_with_room(fd);
    for (size_t at = 0; rc == 0 && at < n;) {
        ssize_t put = pirn_write(fd, text + at, n - at, PIRN_NEVER);
        if (put <= 0)
            rc = put < 0 ? (int)put : -EIO;
        else
            at += (size_t)put;
    }
    return rc;
}

static int write_in_turn(const char *text, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    int rc = pirn_mutex_lock(&turn, PIRN_NEVER);
    if (rc != 0)
        return rc;
    struct pirn_task *t = pirn_current_task();
    bool shielded = t != NULL && pirn_task_shield(t) == 0;
    rc = write_all(text, n);
    if (shielded)
        pirn_task_unshield(t);
    pirn_mutex_unlock(&turn);
    return rc != 0 ? rc : (int)n;
}

int pirn_print(const char *format, ...)
{
    struct formatted text;
    va_list args;
    va_start(args, format);
    int rc = pirn_format(&text, format, args);
    va_end(args);
    if (rc != 0)
        return rc;
    rc = write_in_turn(text.at, text.n);
    pirn_format_free(&text);
    return rc;
}
