/*
 * The load every server gets, from a process of its own: one epoll loop, closed connections that
 * each have one message of 64 bytes under way.
 *
 *   1. start the server, read the port from the address it prints, connect
 *   2. each connection sends; when its answer is complete the time is noted and it sends again,
 *      at once or at the next beat of its pace
 *   3. after a warm-up of 200 ms the counters start; after run_ns they are read, the server ends
 *
 * A paced connection that misses a beat waits for the next one: servers that fall behind get less
 * load instead of a growing backlog, which flatters the slow ones. The loop asks for a short
 * scheduler slice, so that beside a busy server it measures the server's delay and not its own.
 * wrk and its like were rejected: they speak HTTP, and have to be installed.
 */
#include "perf/bench/bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    WARM_UP_NS = 200000000,
    EVENTS = 256
};

struct conn {
    int fd;
    int missing; /* bytes of the answer still to come; 0: waiting for the next beat */
    bool heavy;
    int64_t sent, next; /* when the last message was sent; when the next one is due */
};

struct state {
    const bench_load *load;
    struct conn *conns;
    int count, epoll;
    bool counting;
    uint64_t msgs, heavy_msgs;
    bench_samples latency;
};

int bench_read_port(int out)
{
    char text[4096];
    size_t used = 0;
    while (used < sizeof text - 1) {
        ssize_t n = read(out, text + used, sizeof text - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
        text[used] = 0;
        const char *at = strstr(text, "127.0.0.1:");
        if (at && strchr(at, '\n'))
            return atoi(at + strlen("127.0.0.1:"));
    }
    bench_fail("the server printed no 127.0.0.1:PORT", EPROTO);
}

static void send_request(struct state *s, struct conn *c, int64_t now)
{
    unsigned char message[BENCH_MESSAGE] = {0};
    uint32_t work = c->heavy ? s->load->heavy_work : s->load->work;
    for (int i = 0; i < 4; i++)
        message[i] = (unsigned char)(work >> (8 * i));
    c->sent = now;
    c->missing = BENCH_MESSAGE;
    if (send(c->fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message)
        bench_fail("send to the server", errno);
}

static void connect_all(struct state *s, int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < s->count; i++) {
        struct conn *c = &s->conns[i];
        c->heavy = i >= s->load->conns;
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&addr, sizeof addr) < 0)
            bench_fail("connect to the server", errno);
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
            bench_fail("epoll_ctl", errno);
        /* spread the beats evenly */
        c->next = bench_now() + s->load->pace_ns * i / s->count;
    }
}

static void receive(struct state *s, struct conn *c)
{
    char buf[BENCH_MESSAGE];
    ssize_t n = recv(c->fd, buf, (size_t)c->missing, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        bench_fail("the server closed a connection", n < 0 ? errno : EPIPE);
    c->missing -= (int)n;
    if (c->missing > 0)
        return;
    int64_t now = bench_now();
    if (s->counting && c->heavy)
        s->heavy_msgs++;
    if (s->counting && !c->heavy) {
        s->msgs++;
        bench_add(&s->latency, now - c->sent);
    }
    if (c->heavy || !s->load->pace_ns) {
        send_request(s, c, now);
        return;
    }
    while (c->next <= now)
        c->next += s->load->pace_ns;
}

/* Sends what is due; returns when the next message is. */
static int64_t send_due(struct state *s, int64_t now)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < s->load->conns; i++) {
        struct conn *c = &s->conns[i];
        if (!c->missing && c->next <= now)
            send_request(s, c, now);
        else if (!c->missing && c->next < next)
            next = c->next;
    }
    return next;
}

static void pump(struct state *s, int64_t until)
{
    struct epoll_event events[EVENTS];
    int64_t now = bench_now();
    while (now < until) {
        int64_t next = until;
        if (s->load->pace_ns) {
            int64_t due = send_due(s, now);
            next = due < until ? due : until;
        }
        int64_t wait = next > now ? next - now : 0;
        struct timespec span = {wait / 1000000000, wait % 1000000000};
        int n = epoll_pwait2(s->epoll, events, EVENTS, &span, NULL);
        if (n < 0 && errno != EINTR)
            bench_fail("epoll_pwait2", errno);
        for (int i = 0; i < n; i++)
            receive(s, events[i].data.ptr);
        now = bench_now();
    }
}

void bench_load_run(const bench_load *load, bench_loaded *ret_loaded)
{
    struct state s = {.load = load, .count = load->conns + load->heavy};
    int out;
    pid_t server = bench_start(load->server, &out);
    s.conns = bench_alloc((size_t)s.count, sizeof *s.conns);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    connect_all(&s, bench_read_port(out));
    bench_short_slice();

    for (int i = 0; i < s.count; i++)
        if (s.conns[i].heavy || !load->pace_ns)
            send_request(&s, &s.conns[i], bench_now());
    pump(&s, bench_now() + WARM_UP_NS);
    s.counting = true;
    int64_t begin = bench_now(), server_cpu = bench_cpu_of(server), own_cpu = bench_cpu();
    pump(&s, begin + load->run_ns);
    double took = (double)(bench_now() - begin);
    *ret_loaded = (bench_loaded){
        .msgs_per_s = (double)s.msgs / took * 1e9,
        .heavy_per_s = (double)s.heavy_msgs / took * 1e9,
        .server_cpu = (double)(bench_cpu_of(server) - server_cpu) / took,
        .load_cpu = (double)(bench_cpu() - own_cpu) / took,
        .latency = s.latency,
    };
    for (int i = 0; i < s.count; i++)
        close(s.conns[i].fd);
    close(s.epoll);
    bench_end(server);
    close(out);
    free(s.conns);
}
