/*
 * The load every server gets, from a process of its own: one epoll loop, closed connections that
 * each have one message of 64 bytes under way.
 *
 *   1. start the server, read the port from the address it prints, connect; each 256th connection
 *      has a message answered before the next one comes, so that no backlog overflows
 *   2. each connection sends; when its answer is complete the time is noted and it sends again,
 *      at once or at the next beat of its pace
 *   3. after a warm-up of 200 ms the counters start; after run_ns they are read
 *   4. nothing more is sent; the answers still to come are awaited, for at most 5 s, as the longest
 *      waits would be missing otherwise; the server ends
 *
 * A paced connection that misses a beat waits for the next one, so that a server which falls behind
 * has no backlog that grows without end. What would have been sent at a beat missed for it is
 * counted among the latencies as if it had been answered together with the late one: without that
 * the slow would answer fewer of the bad moments' requests, and look better than they are. The loop
 * asks for a short scheduler slice, so that beside a busy server it measures the server's delay and
 * not its own. wrk and its like were rejected: they speak HTTP, and have to be installed.
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
    EVENTS = 256,
    AT_ONCE = 256 /* connections before one is answered; listeners take 1,024 */
};

static const int64_t drain_ns = 5000000000;

enum phase {
    WARMING_UP,
    COUNTING,
    DRAINING
};

struct conn {
    int fd;
    int missing; /* bytes of the answer still to come; 0: waiting for the next beat */
    bool heavy;
    int64_t sent; /* when the last message was */
    int64_t beat; /* with a pace: the last message's, or the next one's if none is under way */
    int64_t pace;
};

struct state {
    const bench_load *load;
    struct conn *conns;
    int count, epoll;
    enum phase phase;
    int64_t begin, end; /* of the time that counts */
    int awaited;        /* messages under way that are not heavy */
    bool paced;         /* some connections are */
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
    s->awaited += !c->heavy;
    if (send(c->fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message)
        bench_fail("send to the server", errno);
}

/* Of a connection that nothing else is said on; blocks. */
static void trip(struct conn *c)
{
    unsigned char message[BENCH_MESSAGE] = {0};
    if (send(c->fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message ||
        recv(c->fd, message, sizeof message, MSG_WAITALL) != sizeof message)
        bench_fail("the server does not answer", errno);
}

static void connect_all(struct state *s, int port)
{
    bench_raise_descriptors(s->count);
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < s->count; i++) {
        struct conn *c = &s->conns[i];
        c->heavy = i >= s->load->conns;
        c->pace = c->heavy ? s->load->heavy_pace_ns : s->load->pace_ns;
        s->paced |= c->pace != 0;
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&addr, sizeof addr) < 0)
            bench_fail("connect to the server", errno);
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (i % AT_ONCE == AT_ONCE - 1)
            trip(c);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
            bench_fail("epoll_ctl", errno);
    }
}

/* Spreads the beats of those with the same pace evenly, and sends what has none. */
static void begin_all(struct state *s)
{
    int64_t now = bench_now();
    for (int i = 0; i < s->count; i++) {
        struct conn *c = &s->conns[i];
        int among = c->heavy ? s->load->heavy : s->load->conns;
        c->beat = now + c->pace * (c->heavy ? i - s->load->conns : i) / among;
        if (!c->pace)
            send_request(s, c, now);
    }
}

/* An answer is complete: on to the connection's next beat, past those it missed. Those from before
 * it was sent are the load's own lateness. */
static void next_beat(struct state *s, struct conn *c, int64_t now)
{
    for (c->beat += c->pace; c->beat <= now; c->beat += c->pace)
        if (!c->heavy && c->beat > c->sent && c->beat >= s->begin && c->beat < s->end)
            bench_add(&s->latency, now - c->beat);
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
    s->awaited -= !c->heavy;
    *(c->heavy ? &s->heavy_msgs : &s->msgs) += s->phase == COUNTING;
    if (!c->heavy && s->phase != WARMING_UP)
        bench_add(&s->latency, now - c->sent);
    if (c->pace)
        next_beat(s, c, now);
    else if (s->phase != DRAINING)
        send_request(s, c, now);
}

/* Sends what is due; returns when the next message is. */
static int64_t send_due(struct state *s, int64_t now)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < s->count; i++) {
        struct conn *c = &s->conns[i];
        if (c->pace && !c->missing && c->beat <= now)
            send_request(s, c, now);
        else if (c->pace && !c->missing && c->beat < next)
            next = c->beat;
    }
    return next;
}

static void pump(struct state *s, int64_t until)
{
    struct epoll_event events[EVENTS];
    int64_t now = bench_now();
    while (now < until && (s->phase != DRAINING || s->awaited)) {
        int64_t next = until;
        if (s->paced && s->phase != DRAINING) {
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

/* Whoever has no answer yet waits since then. */
static void drain(struct state *s)
{
    s->phase = DRAINING;
    pump(s, s->end + drain_ns);
    int64_t now = bench_now();
    for (int i = 0; s->awaited && i < s->load->conns; i++)
        if (s->conns[i].missing)
            bench_add(&s->latency, now - s->conns[i].sent);
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

    s.begin = s.end = INT64_MAX;
    begin_all(&s);
    pump(&s, bench_now() + WARM_UP_NS);
    s.phase = COUNTING;
    s.begin = bench_now();
    s.end = s.begin + load->run_ns;
    int64_t server_cpu = bench_cpu_of(server), own_cpu = bench_cpu();
    pump(&s, s.end);
    double took = (double)(bench_now() - s.begin);
    *ret_loaded = (bench_loaded){
        .msgs_per_s = (double)s.msgs / took * 1e9,
        .heavy_per_s = (double)s.heavy_msgs / took * 1e9,
        .server_cpu = (double)(bench_cpu_of(server) - server_cpu) / took,
        .load_cpu = (double)(bench_cpu() - own_cpu) / took,
        .server_used = bench_used_by(server),
    };
    drain(&s);
    ret_loaded->latency = s.latency;
    for (int i = 0; i < s.count; i++)
        close(s.conns[i].fd);
    close(s.epoll);
    bench_end(server);
    close(out);
    free(s.conns);
}
