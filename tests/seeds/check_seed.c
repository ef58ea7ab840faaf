/*
 * Runs a seed as a user would, on 1, 2 and 4 workers, and compares what it prints, and when, with
 * the
 * expectation that lies beside it (see expectation.h):  check_seed PROGRAM EXPECTED
 *
 * A second of the tutorial is 100 ms, 200 in slow builds. What the machine itself is late by
 * meanwhile is measured beside it (support_control): upper bounds are widened by it, and where that
 * is a quarter of such a second in all, and something is wrong, that says nothing: the seed is run
 * with seconds twice as long. In all, not at a time: what is printed has been through many hands,
 * the server's too, and each may have waited. (Rejected: to run it again because it was late.)
 */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/seeds/expectation.h"
#include "tests/support.h"

enum {
    PATIENCE_S = 200,
    LONGEST_MS = 3200 /* a second */
};

static expectation expected;
static output out, err;
static support_control control;
static int64_t machine_late; /* in the last run */

/* ---- What is printed --------------------------------------------------------------------- */

/* Takes what is there; false at the end. */
static bool take(output *o, double now, double late)
{
    ssize_t n = read(o->fd, o->text + o->used, sizeof(o->text) - 1 - o->used);
    if (n < 0 && errno == EINTR)
        return true;
    CHECK_GE(n, 0);
    o->used += (size_t)n;
    o->text[o->used] = '\0';
    for (char *end; (end = strchr(o->text + o->line_begin, '\n')) != NULL;) {
        CHECK(o->n < MAX_LINES);
        *end = '\0';
        o->line[o->n] = o->text + o->line_begin;
        o->late[o->n] = late;
        o->at[o->n++] = now;
        o->line_begin = (size_t)(end + 1 - o->text);
    }
    if (n == 0 && o->line_begin < o->used) /* no newline at the end */
        support_fail(__FILE__, __LINE__, __func__, "half a line: %s", o->text + o->line_begin);
    return n > 0;
}

/* ---- Running ----------------------------------------------------------------------------- */

/* Its standard error goes where ours does, unless ret_err says otherwise. */
static pid_t start(const char *path, char *const *args, int *ret_out, int *ret_err)
{
    int to_out[2], to_err[2];
    support_pipe(to_out);
    if (ret_err != NULL)
        support_pipe(to_err);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(to_out[1], STDOUT_FILENO);
        if (ret_err != NULL)
            dup2(to_err[1], STDERR_FILENO);
        signal(SIGINT, SIG_DFL); /* where tests run in the background it may be ignored */
        alarm(PATIENCE_S);       /* survives the exec */
        execv(path, args);
        _exit(127);
    }
    close(to_out[1]);
    *ret_out = to_out[0];
    if (ret_err != NULL) {
        close(to_err[1]);
        *ret_err = to_err[0];
    }
    return pid;
}

/* It says on its first line where it listens. */
static pid_t start_server(const char *program, char port[8], FILE **ret_output)
{
    char path[4096], text[256];
    int fd;
    snprintf(path, sizeof(path), "%.*s/%s", (int)(strrchr(program, '/') - program), program,
             expected.server_args[0]);
    pid_t pid = start(path, expected.server_args, &fd, NULL);
    *ret_output = fdopen(fd, "r");
    CHECK(*ret_output != NULL);
    if (fgets(text, sizeof(text), *ret_output) == NULL ||
        sscanf(text, "listening on 127.0.0.1:%7s", port) != 1)
        support_fail(__FILE__, __LINE__, __func__, "%s does not say where it listens", path);
    return pid;
}

static void stop_server(pid_t pid, FILE *from)
{
    int status;
    CHECK_OK(kill(pid, SIGINT));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fclose(from);
}

/* Reads both streams to their ends and returns what waitpid said. */
static int watch(pid_t pid, int64_t begun, double second_ns)
{
    struct pollfd fds[2] = {{.fd = out.fd, .events = POLLIN}, {.fd = err.fd, .events = POLLIN}};
    bool sent = expected.signo == 0;
    int status;
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        double now = (double)(support_now() - begun) / second_ns;
        int left_ms = -1;
        if (!sent && out.n > 0) {
            double left = out.at[0] + expected.signal_at - now;
            left_ms = left > 0 ? (int)(left * second_ns / 1e6) + 1 : 0;
            if (left <= 0) {
                CHECK_OK(kill(pid, expected.signo));
                sent = true;
                continue;
            }
        }
        CHECK(poll(fds, 2, left_ms) >= 0 || errno == EINTR);
        double late = (double)support_control_late(&control) / second_ns;
        now = (double)(support_now() - begun) / second_ns;
        if (fds[0].revents != 0 && !take(&out, now, late))
            fds[0].fd = -1;
        if (fds[1].revents != 0 && !take(&err, now, late))
            fds[1].fd = -1;
        fds[0].revents = fds[1].revents = 0;
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(out.fd);
    close(err.fd);
    return status;
}

static bool judge(int status, int w)
{
    if (expected.race && support_tsan()) {
        bool found = false;
        for (int i = 0; i < err.n; i++)
            found = found || strstr(err.line[i], "data race") != NULL;
        if (WIFEXITED(status) && (found ? WEXITSTATUS(status) == 99 : w == 1))
            return true;
        output_complain("ThreadSanitizer should have found a data race:", &out, &err);
        return false;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == expected.exit_status)
        return expectation_compare(&out, &err);
    output_complain("it ended otherwise:", &out, &err);
    printf("%s %d\n", WIFEXITED(status) ? "exit status" : "signal",
           WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return false;
}

static bool check(const char *program, int w, int second_ms)
{
    int n = 0;
    char text[16], port[8], *args[MAX_ARGS + 3];
    FILE *server_output = NULL;
    pid_t server = -1;

    snprintf(text, sizeof(text), "%d", second_ms);
    CHECK_OK(setenv("SEED_SECOND_MS", text, 1));
    snprintf(text, sizeof(text), "%d", w);
    CHECK_OK(setenv("PIRN_WORKERS", text, 1));
    args[n++] = (char *)program;
    if (expected.server_args[0] != NULL) {
        server = start_server(program, port, &server_output);
        args[n++] = port;
    }
    for (int i = 0; expected.seed_args[i] != NULL; i++)
        args[n++] = expected.seed_args[i];
    args[n] = NULL;

    memset(&out, 0, sizeof(out));
    memset(&err, 0, sizeof(err));
    support_control_begin(&control);
    int64_t begun = support_now();
    pid_t pid = start(program, args, &out.fd, &err.fd);
    bool good = judge(watch(pid, begun, second_ms * 1e6), w);
    machine_late = support_control_late(&control);
    support_control_end(&control);
    if (server != -1)
        stop_server(server, server_output);
    printf("%s on %d workers: %s\n", strrchr(program, '/') + 1, w, good ? "as expected" : "WRONG");
    return good;
}

int main(int argc, char **argv)
{
    bool good = true;
    CHECK_EQ(argc, 3);
    CHECK(strchr(argv[1], '/') != NULL);
    CHECK_OK(unsetenv("PIRN_DEBUG")); /* it would be heard on stderr */
    expectation_read(argv[2], &expected);
    if (expected.no_tsan && support_tsan())
        return 77;
    FOR_WORKERS(w)
    {
        int second_ms = support_slow() ? 200 : 100;
        bool fine = check(argv[1], w, second_ms);
        while (!fine && second_ms < LONGEST_MS && machine_late > second_ms * MS / 4) {
            printf("but the machine was late by %d ms, %d at a time\n", (int)(machine_late / MS),
                   (int)(support_control_worst(&control) / MS));
            second_ms *= 2;
            fine = check(argv[1], w, second_ms);
        }
        good = good && fine;
    }
    return good ? 0 : 1;
}
