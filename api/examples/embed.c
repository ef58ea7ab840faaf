/*
 * embed: pirn beside a loop of one's own.
 *
 *   embed [n]
 *
 * The main thread runs a plain epoll loop, as GLib, libuv or a game would, and owns a counter that
 * no other thread touches. A second thread runs the coroutines: n of them (8 by default) each sleep
 * a little, have the loop's thread add to the counter and hear what it is by then
 * (pirn_mailbox_call), and post a line for it to print (pirn_mailbox_post). When all have ended the
 * loop is told so.
 */
#include <errno.h>
#include <pirn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef struct program {
    pirn_mailbox *mailbox;
    int workers, status;
    int counter; /* the loop's thread's alone, as is over */
    bool over;
} program;

typedef struct line {
    int value;
} line;

/* ---- On the loop's thread ---- */

static int add_one(void *arg)
{
    return ++((program *)arg)->counter;
}

static void print_line(void *arg)
{
    line *l = arg;
    printf("a coroutine heard %d\n", l->value);
    free(l);
}

static int end_loop(void *arg)
{
    ((program *)arg)->over = true;
    return 0;
}

static int run_loop(program *p)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return -errno;
    event.data.fd = pirn_mailbox_fd(p->mailbox);
    int rc = epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) != 0 ? -errno : 0;
    while (rc >= 0 && !p->over) {
        rc = epoll_wait(epoll, &event, 1, -1);
        if (rc < 0)
            rc = errno == EINTR ? 0 : -errno;
        else if (event.data.fd == pirn_mailbox_fd(p->mailbox))
            rc = pirn_mailbox_dispatch(p->mailbox);
    }
    close(epoll);
    return rc < 0 ? rc : 0;
}

/* ---- Coroutines ---- */

static int worker(void *arg)
{
    program *p = arg;
    int value, rc = pirn_sleep(pirn_after_ms(10));
    if (rc == 0)
        rc = pirn_mailbox_call(p->mailbox, add_one, p, &value, PIRN_NEVER);
    line *l = rc == 0 ? malloc(sizeof(*l)) : NULL;
    if (rc == 0 && l == NULL)
        rc = -ENOMEM;
    if (rc != 0)
        return rc;
    l->value = value;
    rc = pirn_mailbox_post(p->mailbox, print_line, l);
    if (rc != 0)
        free(l);
    return rc;
}

static int main_task(void *arg)
{
    program *p = arg;
    pirn_scope *scope;
    int rc = pirn_scope_open(&scope, 0);
    if (rc != 0)
        return rc;
    for (int i = 0; i < p->workers && rc == 0; i++)
        rc = pirn_scope_spawn(scope, worker, p, PIRN_NEVER);
    int closed = pirn_scope_close(scope, PIRN_NEVER);
    return rc != 0 ? rc : closed;
}

static void *run_coroutines(void *arg)
{
    program *p = arg;
    p->status = pirn_run(main_task, p);
    int rc = pirn_mailbox_call(p->mailbox, end_loop, p, NULL, PIRN_NEVER); /* behind all lines */
    if (rc != 0)
        p->status = rc; /* the loop has given up before */
    return NULL;
}

int main(int argc, char **argv)
{
    program p = {.workers = argc > 1 ? atoi(argv[1]) : 8};
    pthread_t thread;
    int rc = pirn_mailbox_new(&p.mailbox);
    if (rc == 0)
        rc = -pthread_create(&thread, NULL, run_coroutines, &p);
    if (rc == 0) {
        rc = run_loop(&p);
        pirn_mailbox_close(p.mailbox); /* nobody is to wait for us any more */
        pthread_join(thread, NULL);
    }
    if (rc == 0)
        rc = p.status;
    pirn_mailbox_release(p.mailbox);
    if (rc != 0)
        fprintf(stderr, "embed: %s\n", strerror(-rc));
    else
        printf("counter: %d\n", p.counter);
    return rc != 0;
}
