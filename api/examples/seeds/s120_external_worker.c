/*
 * Heavy work handed to a worker that is a process of its own, as Celery does it: jobs go out over a
 * socket, and results come back over it, in whatever order they are ready. Here the worker is this
 * program again, started with the socket's path; it could be any other, in any language, that reads
 * and writes lines.
 *
 * One coroutine sends the jobs, one takes the results and hands each to the future of its job; who
 * wants a result awaits that. The worker computes its jobs in parallel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seeds.h"

enum {
    JOBS = 10
};

/* A job and a result are both this. */
typedef struct message {
    int32_t job, pid;
    int64_t number;
} message;

static int receive(int fd, message *ret_message)
{
    ssize_t n = pirn_recv(fd, ret_message, sizeof(*ret_message), MSG_WAITALL, PIRN_NEVER);
    return n == sizeof(*ret_message) ? 1 : n == 0 ? 0 : n < 0 ? (int)n : -EPROTO;
}

/* ---- The worker ---------------------------------------------------------------------------- */

typedef struct work {
    int fd;
    message message;
} work;

static int compute(void *arg)
{
    work *w = arg;
    int64_t sum = 0;
    for (int64_t i = 1; i <= w->message.number; i++)
        sum += i * i;
    w->message.number = sum;
    w->message.pid = (int32_t)getpid();
    ssize_t n = pirn_send(w->fd, &w->message, sizeof(w->message), 0, PIRN_NEVER); /* in one piece */
    return n < 0 ? (int)n : 0;
}

static int run_worker(void *arg)
{
    int fd = must(pirn_connect_unix(arg, after(10))), rc;
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope *scope;
    message m;
    config.arg_drop = free;
    must(pirn_scope_open(&scope, 0));
    while ((rc = receive(fd, &m)) == 1) {
        work *w = malloc(sizeof(*w));
        if (w == NULL)
            must(-ENOMEM);
        *w = (work){fd, m};
        must(pirn_scope_spawn_with(scope, &config, compute, w, PIRN_NEVER));
    }
    int failure = pirn_scope_close(scope, PIRN_NEVER);
    pirn_close(fd);
    return rc < 0 ? rc : failure;
}

/* ---- Who has work to do -------------------------------------------------------------------- */

typedef struct office {
    int fd;
    pirn_future *results[JOBS];
    message answers[JOBS];
} office;

static int take_results(void *arg)
{
    office *o = arg;
    for (int i = 0; i < JOBS; i++) {
        message m;
        int rc = receive(o->fd, &m);
        if (rc != 1)
            return rc < 0 ? rc : -EPIPE;
        if (m.job < 0 || m.job >= JOBS)
            return -EPROTO;
        o->answers[m.job] = m;
        must(pirn_future_set(o->results[m.job], 0, &o->answers[m.job]));
    }
    return 0;
}

static int delegate(void *arg)
{
    office o = {.fd = (int)(intptr_t)arg};
    pirn_task *taker;
    for (int i = 0; i < JOBS; i++)
        must(pirn_future_new(&o.results[i]));
    must(pirn_spawn(&taker, take_results, &o));
    for (int i = 0; i < JOBS; i++) {
        message job = {i, 0, 1000 * (i + 1)};
        if (pirn_send(o.fd, &job, sizeof(job), 0, PIRN_NEVER) != sizeof(job))
            must(-EPIPE);
    }
    for (int i = 0; i < JOBS; i++) {
        void *value;
        must(pirn_future_await(o.results[i], NULL, &value, after(60)));
        const message *m = value;
        printf("job %d: %lld, by %s\n", i, (long long)m->number,
               m->pid == (int32_t)getpid() ? "this process" : "another process");
    }
    int rc = pirn_join(taker, NULL, PIRN_NEVER);
    for (int i = 0; i < JOBS;
         i++) /* not before: who sets a future needs a reference that lasts as long */
        must(pirn_release(o.results[i]));
    return rc;
}

static int hire(void *arg)
{
    char path[64];
    pirn_process *worker;
    int status;
    snprintf(path, sizeof(path), "@pirn-s120-%d",
             (int)getpid()); /* abstract: nothing to clean up */
    int listener = must(pirn_listen_unix(path, NULL, PIRN_NEVER));
    const char *const args[] = {arg, path, NULL};
    must(pirn_process_spawn(&worker, args, NULL, after(60)));
    int fd = must(pirn_accept(listener, NULL, NULL, 0, after(60)));
    int rc = delegate((void *)(intptr_t)fd);
    pirn_close(fd); /* the worker's end of work */
    pirn_close(listener);
    must(pirn_process_wait(worker, &status, PIRN_NEVER));
    must(status == 0 ? 0 : -ECHILD);
    pirn_process_release(worker);
    printf("the worker is through\n");
    return rc;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return report(pirn_run(run_worker, argv[1]));
    static char self[] = "/proc/self/exe";
    return report(pirn_run(hire, self));
}
