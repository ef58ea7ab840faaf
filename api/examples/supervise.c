/*
 * A supervisor: supervise COMMAND... runs each command by the shell, passes its lines on with its
 * number before them, and starts it again when it has ended: at once the first time, later and
 * later after that, soon again once it has stayed up. SIGINT or SIGTERM ends them all, kindly
 * first.
 *
 * A scope holds a coroutine for each command; for each run of it, a scope holds the two that read.
 */
#include <errno.h>
#include <pirn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_MS = 50,     /* before a command is started again; doubled each time */
    MOST_MS = 30000,   /* ... up to this */
    STEADY_MS = 10000, /* who was up for so long begins with FIRST_MS again */
    STOP_MS = 2000     /* between SIGTERM and SIGKILL; and for pipes that outlive a command */
};

typedef struct command {
    const char *text;
    int number;
} command;

typedef struct reader {
    pirn_stream *from; /* the process's */
    const command *command;
    const char *mark;
} reader;

static int pass_on(void *arg)
{
    const reader *r = arg;
    const char *line;
    ssize_t n;

    while ((n = pirn_stream_read_line(r->from, &line, PIRN_NEVER)) != 0) {
        if (n == -EMSGSIZE)
            continue; /* too long; what is left of it comes as a line */
        if (n < 0)
            return (int)n;
        const char *end = line[n - 1] == '\n' ? "" : "\n";
        int rc = pirn_print("%d%s %.*s%s", r->command->number, r->mark, (int)n, line, end);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Ends the process; what it has started is told, too. The shield is there as the caller is
 * cancelled, and may be again. */
static void stop(pirn_process *process)
{
    pirn_shield_enter();
    pirn_process_stop(process, NULL, pirn_after_ms(STOP_MS));
    pirn_shield_leave();
}

/* Reads what the process says until it has ended: 0 and how, or an error, and it is no more. */
static int attend(pirn_process *process, const command *c, int *ret_status)
{
    reader out = {pirn_process_out(process), c, ":"}, err = {pirn_process_err(process), c, "!"};
    pirn_scope *scope;
    int rc = pirn_scope_open(&scope, 0);

    if (rc < 0)
        return rc;
    rc = pirn_scope_spawn(scope, pass_on, &out, PIRN_NEVER);
    if (rc == 0)
        rc = pirn_scope_spawn(scope, pass_on, &err, PIRN_NEVER);
    if (rc == 0)
        rc = pirn_process_wait(process, ret_status, PIRN_NEVER);
    if (rc < 0) {
        stop(process);
        pirn_scope_fail(scope, rc);
    }
    /* The readers are at the end of their pipes by now, but for one that something else has
     * open. */
    int closed = pirn_scope_close(scope, pirn_after_ms(STOP_MS));
    return rc == 0 && closed != -ETIMEDOUT ? closed : rc;
}

static int run_once(const command *c, int *ret_status)
{
    pirn_process_config config = PIRN_PROCESS_CONFIG_INIT;
    pirn_process *process;

    config.in = PIRN_STDIO_NULL;
    config.out = config.err = PIRN_STDIO_PIPE;
    config.flags = PIRN_PROCESS_NEW_GROUP; /* Ctrl-C is for the supervisor */
    int rc = pirn_process_shell(&process, c->text, &config, PIRN_NEVER);
    if (rc == 0) {
        rc = attend(process, c, ret_status);
        pirn_process_release(process);
    }
    return rc;
}

static int keep_running(void *arg)
{
    const command *c = arg;
    int64_t pause_ms = FIRST_MS;

    for (;;) {
        pirn_time steady = pirn_after_ms(STEADY_MS);
        int status = 0, rc = run_once(c, &status);
        if (rc == -ECANCELED)
            return rc;
        if (pirn_now().ns >= steady.ns)
            pause_ms = FIRST_MS;
        if (rc < 0)
            rc = pirn_print("%d- cannot be run: %s\n", c->number, strerror(-rc));
        else if (status < 0)
            rc = pirn_print("%d- ended by signal %d\n", c->number, -status);
        else
            rc = pirn_print("%d- ended with %d\n", c->number, status);
        if (rc >= 0) /* a cancel is told once: who passes over it has lost it */
            rc = pirn_sleep(pirn_after_ms(pause_ms));
        if (rc < 0)
            return rc;
        pause_ms = 2 * pause_ms < MOST_MS ? 2 * pause_ms : MOST_MS;
    }
}

static int terminate(void *task)
{
    pirn_cancel(task, "a signal");
    return 0;
}

static int start(void *arg)
{
    command *c = arg;
    pirn_scope *scope;
    /* Not PIRN_SIGINT_CANCELS and its like: a second signal would end the supervisor, and leave the
     * commands. */
    int rc = pirn_signal_add(SIGINT, terminate, pirn_current(), NULL);

    if (rc == 0)
        rc = pirn_signal_add(SIGTERM, terminate, pirn_current(), NULL);
    if (rc == 0)
        rc = pirn_scope_open(&scope, 0);
    if (rc != 0)
        return rc;
    for (; rc == 0 && c->text != NULL; c++)
        rc = pirn_scope_spawn(scope, keep_running, c, PIRN_NEVER);
    if (rc < 0)
        pirn_scope_fail(scope, rc);
    rc = pirn_scope_close(scope, PIRN_NEVER); /* a cancel reaches them all */
    pirn_signal_remove(SIGINT);               /* the task that they cancel is about to go */
    pirn_signal_remove(SIGTERM);
    return rc == -ECANCELED ? 0 : rc;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: supervise COMMAND...\n");
        return 2;
    }
    command *commands = calloc((size_t)argc, sizeof(*commands));
    for (int i = 1; commands != NULL && i < argc; i++)
        commands[i - 1] = (command){argv[i], i};
    int rc = commands != NULL ? pirn_run(start, commands) : -ENOMEM;
    free(commands);
    if (rc < 0) {
        fprintf(stderr, "supervise: %s\n", strerror(-rc));
        return 1;
    }
    return 0;
}
