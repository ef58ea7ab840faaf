/*
 * The rows for libuv: uv ROW [key=value ...], printing key=value lines as the bench program does.
 * Each row does the exact work of the file of its name in perf/bench.
 *
 *   echo    workers=1, each a thread with a loop of its own and a listener on the same port
 *   timers  n=1000000 seconds=10 lead=4
 *
 * The form is that of libuv's guide and its own benchmarks: handles inside the program's structs,
 * so a timer or a connection is one piece of memory; a loop to a thread, as a loop is for one
 * thread only. Echo differs from the guide's where that is slower: a connection has its buffer,
 * none is allocated for each read, and an answer leaves by uv_try_write; what does not fit is
 * written by uv_write, and reading waits for it. Timers count milliseconds here, from the loop's
 * idea of the time; a deadline is rounded up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

static int argument_count;
static char **arguments;

static int64_t number(const char *key, int64_t fallback)
{
    size_t length = strlen(key);
    for (int i = 2; i < argument_count; i++)
        if (!strncmp(arguments[i], key, length) && arguments[i][length] == '=')
            return strtoll(arguments[i] + length + 1, NULL, 10);
    return fallback;
}

static void fail(const char *what, int error)
{
    fprintf(stderr, "uv: %s: %s\n", what, uv_strerror(error));
    exit(1);
}

static void check(int result, const char *what)
{
    if (result < 0)
        fail(what, result);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        fail("memory", UV_ENOMEM);
    return memory;
}

/* ---- Row echo ----------------------------------------------------------------------------- */

struct conn {
    uv_tcp_t tcp;
    uv_write_t rest; /* of an answer that did not fit */
    char buf[4096];
};

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void own_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *ret_buf)
{
    struct conn *c = (struct conn *)handle;
    (void)wanted;
    *ret_buf = uv_buf_init(c->buf, sizeof(c->buf));
}

static void answer(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void rest_written(uv_write_t *rest, int status)
{
    uv_stream_t *stream = rest->handle;
    if (status < 0 || uv_read_start(stream, own_buffer, answer) < 0)
        uv_close((uv_handle_t *)stream, closed);
}

static void answer(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = (struct conn *)stream;
    if (n == 0)
        return;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, closed);
        return;
    }
    uv_buf_t left = uv_buf_init(buf->base, (unsigned)n);
    int written = uv_try_write(stream, &left, 1);
    if (written == n)
        return;
    if (written > 0)
        left = uv_buf_init(buf->base + written, (unsigned)(n - written));
    uv_read_stop(stream);
    if ((written < 0 && written != UV_EAGAIN) ||
        uv_write(&c->rest, stream, &left, 1, rest_written) < 0)
        uv_close((uv_handle_t *)stream, closed);
}

static void accept_one(uv_stream_t *listener, int status)
{
    check(status, "listen");
    struct conn *c = allocate(1, sizeof(struct conn));
    check(uv_tcp_init(listener->loop, &c->tcp), "uv_tcp_init");
    check(uv_accept(listener, (uv_stream_t *)&c->tcp), "uv_accept");
    uv_tcp_nodelay(&c->tcp, 1);
    check(uv_read_start((uv_stream_t *)&c->tcp, own_buffer, answer), "uv_read_start");
}

/* Listens before there is a loop, so that nobody who has read the address is refused. */
static int listen_on(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1024) < 0)
        fail("listen", uv_translate_sys_error(errno));
    return fd;
}

/* Never returns. */
static void *serve(void *arg)
{
    uv_loop_t loop;
    uv_tcp_t listener;
    check(uv_loop_init(&loop), "uv_loop_init");
    check(uv_tcp_init(&loop, &listener), "uv_tcp_init");
    check(uv_tcp_open(&listener, *(int *)arg), "uv_tcp_open");
    check(uv_listen((uv_stream_t *)&listener, 1024, accept_one), "uv_listen");
    uv_run(&loop, UV_RUN_DEFAULT);
    return NULL;
}

static void echo(void)
{
    int fds[64], workers = (int)number("workers", 1);
    struct sockaddr_in addr;
    socklen_t len = sizeof(addr);
    if (workers < 1 || workers > 64)
        fail("workers", UV_EINVAL);
    fds[0] = listen_on(0);
    if (getsockname(fds[0], (struct sockaddr *)&addr, &len) < 0)
        fail("getsockname", uv_translate_sys_error(errno));
    for (int i = 1; i < workers; i++) {
        pthread_t thread;
        fds[i] = listen_on(ntohs(addr.sin_port));
        check(-pthread_create(&thread, NULL, serve, &fds[i]), "pthread_create");
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    serve(&fds[0]);
}

/* ---- Row timers --------------------------------------------------------------------------- */

struct timer {
    uv_timer_t timer;
    int64_t until;
};

static int64_t *late_ns, late_count;

static int64_t read_clock(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
}

static void fire(uv_timer_t *timer)
{
    int64_t late = (int64_t)uv_hrtime() - ((struct timer *)timer)->until;
    late_ns[late_count++] = late > 0 ? late : 0;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void out_lateness(void)
{
    static const struct {
        const char *key;
        int64_t per_mille;
    } shown[] = {{"p50", 500}, {"p99", 990}, {"p999", 999}, {"max", 1000}};
    qsort(late_ns, (size_t)late_count, sizeof(*late_ns), by_size);
    for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
        printf("lateness_%s_us=%.3f\n", shown[i].key,
               (double)late_ns[(late_count * shown[i].per_mille + 999) / 1000 - 1] / 1e3);
    printf("lateness_samples=%lld\n", (long long)late_count);
}

static void timers(void)
{
    int64_t n = number("n", 1000000), span = number("seconds", 10) * 1000000000,
            kept = (n + 9) / 10;
    uv_loop_t *loop = uv_default_loop();
    late_ns = allocate((size_t)kept, sizeof(*late_ns));
    struct timer *all = allocate((size_t)n, sizeof(*all));
    int64_t begin = (int64_t)uv_hrtime(), cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    int64_t first = begin + number("lead", 4) * 1000000000;
    uv_update_time(loop);
    int64_t base = (int64_t)uv_now(loop);
    for (int64_t i = 0; i < n; i++) {
        int64_t place = i * 7919 % n;
        all[i].until = first + (int64_t)((double)span * (double)place / (double)n);
        uv_timer_init(loop, &all[i].timer);
        check(uv_timer_start(&all[i].timer, fire,
                             (uint64_t)((all[i].until + 999999) / 1000000 - base), 0),
              "uv_timer_start");
    }
    int64_t armed = (int64_t)uv_hrtime(), armed_cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    for (int64_t i = 0; i < n; i++)
        if (i % 10)
            uv_timer_stop(&all[i].timer);
    int64_t ended = (int64_t)uv_hrtime(), ended_cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    if (ended > first)
        fail("timers were due before all were cancelled; try a larger lead=", UV_ETIMEDOUT);
    uv_run(loop, UV_RUN_DEFAULT);
    if (late_count != kept)
        fail("timers are missing", UV_EIO);
    printf("ns_per_arm=%.3f\n", (double)(armed - begin) / (double)n);
    printf("ns_per_cancel=%.3f\n", (double)(ended - armed) / (double)(n - kept));
    printf("cpu_ns_per_arm=%.3f\n", (double)(armed_cpu - cpu) / (double)n);
    printf("cpu_ns_per_cancel=%.3f\n", (double)(ended_cpu - armed_cpu) / (double)(n - kept));
    out_lateness();
    free(all);
    free(late_ns);
}

int main(int argc, char **argv)
{
    const char *row = argc > 1 ? argv[1] : "";
    argument_count = argc;
    arguments = argv;
    if (!strcmp(row, "echo"))
        echo();
    else if (!strcmp(row, "timers"))
        timers();
    else
        return fputs("usage: uv echo|timers [key=value ...]\n", stderr), 2;
    return 0;
}
